{{- define "nes.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "nes.labels" -}}
app.kubernetes.io/name: nes
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "nes.selector" -}}
app.kubernetes.io/name: nes
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "nes.single" -}}
{{- if or (not .Values.ledger.secretName) (not .Values.bucket) }}true{{ end }}
{{- end }}

{{- define "nes.agents" -}}
http://{{ include "nes.name" . }}-agents.{{ .Release.Namespace }}.svc:8081
{{- end }}

{{- define "nes.check" -}}
{{- if and (gt (int .Values.replicas) 1) (include "nes.single" .) }}
{{- fail "replicas: several servers need a database and a bucket that they share: set ledger.secretName and bucket, or replicas to 1" }}
{{- end }}
{{- if and (not .Values.insecure) (not .Values.existingConfig) (not .Values.config.tokens) (not .Values.config.oidc) }}
{{- fail "config.tokens: NES would let everybody in; make a token with `openssl rand -hex 32` and set config.tokens, or set insecure to true where something before NES signs people in" }}
{{- end }}
{{- end }}
