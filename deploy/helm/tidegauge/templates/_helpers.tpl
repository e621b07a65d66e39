{{- define "tidegauge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tidegauge.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidegauge.labels" -}}
{{ include "tidegauge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tidegauge.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidegauge.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tidegauge.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Every file of the ConfigMap, by name. */}}
{{- define "tidegauge.files" -}}
{{- $shipped := dict "objectives.toml" (.Files.Get "files/objectives.toml") -}}
{{- merge (dict "tidegauge.toml" .Values.config) .Values.files $shipped | toJson -}}
{{- end -}}

{{/* What the pods rely on, and what does not belong into a ConfigMap. */}}
{{- define "tidegauge.check" -}}
{{- $config := .Values.config -}}
{{- if not (regexMatch `(?m)^\s*directory\s*=\s*"/var/lib/tidegauge"` $config) -}}
{{- fail "config: [state] directory has to be \"/var/lib/tidegauge\", where the volume is" -}}
{{- end -}}
{{- if not (regexMatch `(?m)^\s*listen\s*=\s*"(0\.0\.0\.0|\[::\]):9184"` $config) -}}
{{- fail "config: [export] listen has to be \"0.0.0.0:9184\", or probes and Prometheus cannot connect" -}}
{{- end -}}
{{- if not (regexMatch `(?m)^\s*instance\s*=\s*".*\$\{POD_NAME\}.*"` $config) -}}
{{- fail "config: instance has to hold ${POD_NAME}, so that replicas commit their offsets apart" -}}
{{- end -}}
{{- $key := `(?i)(password|passphrase|secret|hash_key|key\.pem)["']?\s*=\s*` -}}
{{- $given := `(\{\s*file\s*=|"\$\{[A-Za-z0-9_]+\}"|'\$\{[A-Za-z0-9_]+\}')` -}}
{{- range $name, $text := include "tidegauge.files" . | fromJson -}}
{{- $said := regexReplaceAll `(?m)^\s*#.*$` $text "" -}}
{{- $values := regexFindAll (print $key `.*`) $said -1 -}}
{{- $secret := contains "PRIVATE KEY" $said -}}
{{- range $values -}}
{{- if not (regexMatch (print `^` $key $given) .) }}{{ $secret = true }}{{ end -}}
{{- end -}}
{{- if $secret -}}
{{- fail (printf "%s: a secret in a ConfigMap can be read by many; give it as { file = \"secrets/NAME\" } and name the Secret under `secrets`" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
