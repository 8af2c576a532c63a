package credential_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/credential"
)

// refused is what is said of one parameter; empty where it passes.
func refused(t testing.TB, name string, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	require.NoError(t, err)
	problems := credential.Refuse(map[string]json.RawMessage{name: raw})
	if len(problems) == 0 {
		return ""
	}
	require.Len(t, problems, 1)
	require.Equal(t, "parameters."+name, problems[0].Field)
	require.Contains(t, problems[0].Message, "secrets: {VARIABLE: {ref: ...}}", "what to do instead")
	return problems[0].Message
}

func TestNamesOfCredentials(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"password", "PASSWORD", "db_password", "dbPassword", "DB_PASSWD", "pwd", "passphrase", "token", "api_token", "apiToken", "auth_token", "access_token",
		"refresh_token", "bot_token2", "secret", "client_secret", "clientSecret", "api_key", "apikey", "openai_api_key", "OPENAI_API_KEY", "apiKey", "secret_key",
		"aws_secret_access_key", "private_key", "account_key", "webhook_secret", "slack.token",
	} {
		require.Contains(t, refused(t, name, "q8Zr-77"), "looks like a credential", name)
		require.NotContains(t, refused(t, name, "q8Zr-77"), "q8Zr-77", "never repeated")
	}
}

func TestNamesThatPass(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"max_tokens", "maxTokens", "tokens", "tokenizer", "tokenizer_name", "token_count", "token_limit", "num_tokens", "pad_token", "eos_token", "bos_token",
		"unk_token", "mask_token", "next_token", "nextPageToken", "page_token", "continuation_token", "secret_santa", "secretary", "secrets_table", "secret_name",
		"password_file", "password_column", "passwords_checked", "passenger", "key", "keys", "primary_key", "sort_key", "join_key", "foreign_key", "keyword",
		"api_key_name", "token_url", "token_path", "tokenised", "author", "compass", "bypass", "trade_secret", "hotkey", "monkey", "x", "_", "암호",
	} {
		require.Empty(t, refused(t, name, "q8Zr-77"), name)
	}
}

func TestValuesOfCredentials(t *testing.T) {
	t.Parallel()
	header := "eyJhbGciOiJIUzI1NiJ9"
	for value, kind := range map[string]string{
		"AKIA" + "IOSFODNN7EXAMPLE":                               "an AWS access key",
		"key is ASIA" + "IOSFODNN7EXAMPLE, use it":                "an AWS access key",
		"ghp_" + strings.Repeat("a1B2", 9):                        "a GitHub token",
		"github_pat_" + strings.Repeat("a1", 20):                  "a GitHub token",
		"glpat-" + strings.Repeat("x", 20):                        "a GitLab token",
		"xoxb-" + "1234567890-abcdef":                             "a Slack token",
		"AIza" + strings.Repeat("Sy", 17) + "x":                   "a Google API key",
		"sk_live_" + strings.Repeat("4e", 12):                     "a Stripe key",
		"-----BEGIN PRIVATE KEY-----\nMIIE":                       "a private key",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE":                   "a private key",
		"-----BEGIN OPENSSH PRIVATE KEY-----":                     "a private key",
		header + "." + header + ".dozjgNryP4J3jVmNHl0w5N":         "a JSON web token",
		"postgres://ada:hunter2@db.example.com/sales":             "an address with a password",
		"mongodb+srv://:hunter2@db.example.com/?retryWrites=true": "an address with a password",
	} {
		require.Contains(t, refused(t, "x", value), "looks like "+kind, value)
		require.Contains(t, refused(t, "x", []any{1, map[string]any{"deep": []string{"no", value}}}), "looks like "+kind, value)
		require.NotContains(t, refused(t, "x", value), value)
	}
}

func TestValuesThatPass(t *testing.T) {
	t.Parallel()
	for _, value := range []any{
		"", "2026-01-31", "s3://bucket/key", "postgres://ada@db.example.com/sales", "postgres://db.example.com:5432/sales", "https://example.com/a:b@c", "git@github.com:acme/x",
		"-----BEGIN CERTIFICATE-----\nMIIC", "-----BEGIN PUBLIC KEY-----", "AKIA", "AKIAlower", "ghp_short", "eyJhbGciOiJIUzI1NiJ9", "a.b.c", "postgres://ada:${PW}@host/x",
		"postgres://ada:***@host/x", 12, 1.5, true, nil, []string{"a", "b"}, map[string]any{"a": 1}, strings.Repeat("x", 10000),
	} {
		require.Empty(t, refused(t, "x", value), "%v", value)
	}
	for _, value := range []any{"", " ", nil, true, false, 17, "***", "<set by NES>", []int{1}} {
		require.Empty(t, refused(t, "password", value), "%v", value)
	}
	require.Empty(t, refused(t, "pwd", "/home/ada"))
	require.NotEmpty(t, refused(t, "db", map[string]any{"user": "ada", "password": "hunter2"}), "the name of a key")
	require.NotEmpty(t, refused(t, "tokens", []any{map[string]any{"token": "x"}}))
}

func TestEachIsNamedOnce(t *testing.T) {
	t.Parallel()
	problems := credential.Refuse(map[string]json.RawMessage{
		"b_token": json.RawMessage(`"x"`), "a_password": json.RawMessage(`["x","y"]`), "fine": json.RawMessage(`1`), "broken": json.RawMessage(`{`),
	})
	require.Len(t, problems, 2)
	require.Equal(t, "parameters.a_password", problems[0].Field)
	require.Equal(t, "parameters.b_token", problems[1].Field)
}

func FuzzRefuse(f *testing.F) {
	f.Add("password", `"x"`)
	f.Add("a", `{"token":["ghp_"]}`)
	f.Add("é_Key", `null`)
	f.Fuzz(func(t *testing.T, name, raw string) {
		problems := credential.Refuse(map[string]json.RawMessage{name: json.RawMessage(raw)})
		require.LessOrEqual(t, len(problems), 1)
		if !json.Valid([]byte(raw)) {
			require.Empty(t, problems)
		}
	})
}
