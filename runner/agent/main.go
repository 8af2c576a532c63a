package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/executor"
)

const usage = `usage:
  nes-agent fetch  -server URL -run ID -attempt N -token-file FILE [-install FILE] [-home DIR] DIR
                                                                         put tree and launch order into the work volume
  nes-agent watch  -server URL -run ID -attempt N -token-file FILE [-disk BYTES] [-tmp DIR] DIR
                                                                         relay journal and files until the notebook has ended
  nes-agent exec   [-python PROGRAM] [-cache DIR] [-notice FILE] DIR     execute the notebook of the work volume
  nes-agent attend DIR                                                   all of it, for an attempt on this machine
`

// Main is the program nes-agent, also as a hidden part of nes. It returns the exit code.
func Main(args []string) int {
	debug.SetGCPercent(50) // it stands beside the notebook all the time, and moves little
	debug.SetMemoryLimit(48 << 20)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	err := dispatch(args[0], args[1:], log)
	switch {
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		fmt.Fprint(os.Stderr, usage)
		return 2
	case args[0] == "exec" && nes.CodeOf(err) == nes.CodeConflict:
		log.Warn("nothing to do", "error", err)
		return exitTaken
	case err != nil:
		log.Error("agent ended", "command", args[0], "error", err)
		return 1
	}
	return 0
}

// exitTaken is the exit code of an exec that found another one at its work.
const exitTaken = 75

var errUsage = errors.New("bad usage")

func dispatch(command string, args []string, log *slog.Logger) error {
	f, rest, err := parse(command, args)
	if err != nil {
		return err
	}
	switch command {
	case "exec": // minds its signals itself
		_, err := executor.Run(context.Background(), rest, executor.Options{Python: f.python, CacheDir: f.cache, Notice: f.notice, Log: log})
		return err
	case "attend":
		return Attend(context.Background(), rest, terminated(), log)
	case "fetch", "watch":
		c, err := f.config(rest, log)
		if err != nil {
			return err
		}
		defer c.Client.Close()
		if command == "fetch" {
			return fetchInPod(c, f)
		}
		return watchInPod(c, f)
	}
	return errUsage
}

// terminated is closed at the first SIGTERM: to an agent it means "finish".
func terminated() <-chan struct{} {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	return ctx.Done()
}

type flags struct {
	server, serverFile, run, tokenFile string
	attempt                            int
	python, cache                      string
	install, home, tmp, notice         string
	disk                               int64
}

func parse(command string, args []string) (flags, string, error) {
	var f flags
	set := flag.NewFlagSet(command, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.server, "server", "", "address of the server")
	set.StringVar(&f.serverFile, "server-file", "", "file that holds the address of the server")
	set.StringVar(&f.run, "run", "", "id of the run")
	set.IntVar(&f.attempt, "attempt", 1, "number of the attempt")
	set.StringVar(&f.tokenFile, "token-file", "", "file that holds the attempt's token")
	set.StringVar(&f.python, "python", "", "interpreter that has papermill")
	set.StringVar(&f.cache, "cache", "", "directory for the driver's files")
	set.StringVar(&f.install, "install", "", "file that this program is copied to")
	set.StringVar(&f.home, "home", "", "directory to be made for the notebook's user")
	set.StringVar(&f.notice, "notice", "", "file that gets a short copy of the exit marker")
	set.Int64Var(&f.disk, "disk", 0, "bytes that the notebook may write; 0 is not looked at")
	set.StringVar(&f.tmp, "tmp", "", "directory beside the volume that counts too")
	if err := set.Parse(args); err != nil {
		return f, "", errors.Join(errUsage, err)
	}
	if set.NArg() != 1 {
		return f, "", errUsage
	}
	return f, set.Arg(0), nil
}

func (f flags) config(dir string, log *slog.Logger) (Config, error) {
	token, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return Config{}, fmt.Errorf("read the token: %w", err)
	}
	server := func() (string, error) { return f.server, nil }
	if f.serverFile != "" {
		server = FromFile(f.serverFile)
	}
	client := agentapi.NewClient(agentapi.Options{
		Server: server, Run: nes.RunID(f.run), Attempt: f.attempt, Token: strings.TrimSpace(string(token)), Log: log,
	})
	return Config{Dir: dir, Client: client, Log: log, Finish: terminated()}, nil
}
