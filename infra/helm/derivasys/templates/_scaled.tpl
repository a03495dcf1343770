{{/* A Deployment, or a Rollout whose canary is judged by the analysis "<name>-quality". */}}
{{- define "derivasys.workload" -}}
apiVersion: {{ ternary "argoproj.io/v1alpha1" "apps/v1" .root.Values.rollouts.enabled }}
kind: {{ ternary "Rollout" "Deployment" .root.Values.rollouts.enabled }}
metadata:
  name: {{ include "derivasys.name" .root }}-{{ .part }}
  labels: {{- include "derivasys.labels" . | nindent 4 }}
spec:
  {{- if eq .root.Values.autoscaling.kind "none" }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels: {{- include "derivasys.selector" . | nindent 6 }}
  strategy:
    {{- if .root.Values.rollouts.enabled }}
    canary:
      maxUnavailable: 0
      maxSurge: 1
      {{- if .canaryService }}
      stableService: {{ include "derivasys.name" .root }}-{{ .part }}
      canaryService: {{ include "derivasys.name" .root }}-{{ .part }}-canary
      {{- end }}
      analysis:
        startingStep: 1
        templates: [{templateName: {{ include "derivasys.name" .root }}-quality}]
        args:
          - name: hash
            valueFrom: {podTemplateHashValue: Latest}
      steps:
        - setWeight: 20
        - pause: {duration: 5m}
        - setWeight: 50
        - pause: {duration: 5m}
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    {{- end }}
{{- end }}
