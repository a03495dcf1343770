{{- define "derivasys.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "derivasys.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ .Values.image.tag }}{{- end -}}
{{- end }}

{{/* Labels that choose pods: (dict "root" . "part" "gateway") */}}
{{- define "derivasys.selector" -}}
app.kubernetes.io/name: derivasys
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "derivasys.labels" -}}
{{ include "derivasys.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What every pod has. */}}
{{- define "derivasys.pod" -}}
serviceAccountName: {{ include "derivasys.name" .root }}-{{ .account | default .part }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 100
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ .root.Values.topologyKey }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "derivasys.selector" . | nindent 8 }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "derivasys.selector" . | nindent 8 }}
{{- end }}

{{- define "derivasys.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "derivasys.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 45
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{- define "derivasys.env" -}}
- {name: DERIVASYS_ENVIRONMENT, value: {{ .root.Values.environment | quote }}}
- {name: DERIVASYS_SERVICE, value: {{ .account | default .part | quote }}}
- {name: DERIVASYS_LOG, value: {{ .root.Values.telemetry.log | quote }}}
- {name: DERIVASYS_METRICS, value: {{ ternary "emf" "off" .root.Values.telemetry.emf | quote }}}
{{- with .root.Values.telemetry.otlpEndpoint }}
- {name: DERIVASYS_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{- define "derivasys.kafkaEnv" -}}
{{- $kafka := .root.Values.kafka -}}
- {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ $kafka.bootstrapServers | quote }}}
- {name: KAFKA_SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol | quote }}}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
- {name: KAFKA_SASL_MECHANISM, value: {{ $kafka.saslMechanism | quote }}}
{{- end }}
{{- with $kafka.credentialsSecret }}
- name: KAFKA_SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ . }}, key: username}}
- {name: KAFKA_SASL_PASSWORD_FILE, value: /secrets/kafka/password}
{{- end }}
{{- with $kafka.oauthProvider }}
- {name: KAFKA_OAUTH_PROVIDER, value: {{ . | quote }}}
{{- end }}
{{- if $kafka.caSecret }}
- {name: KAFKA_SSL_CA_FILE, value: /secrets/kafka-ca/ca.crt}
{{- end }}
- {name: DERIVASYS_TOPIC_PREFIX, value: {{ $kafka.topicPrefix | quote }}}
- {name: DERIVASYS_PARTITIONS, value: {{ $kafka.partitions | quote }}}
- {name: DERIVASYS_REPLICATION, value: {{ $kafka.replication | quote }}}
{{- end }}

{{- define "derivasys.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.kafka.credentialsSecret }}
- {name: kafka, mountPath: /secrets/kafka, readOnly: true}
{{- end }}
{{- if .root.Values.kafka.caSecret }}
- {name: kafka-ca, mountPath: /secrets/kafka-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "derivasys.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- with .root.Values.kafka.credentialsSecret }}
- name: kafka
  secret:
    secretName: {{ . }}
    defaultMode: 288
    items: [{key: password, path: password}]
{{- end }}
{{- with .root.Values.kafka.caSecret }}
- name: kafka-ca
  secret: {secretName: {{ . }}}
{{- end }}
{{- end }}
