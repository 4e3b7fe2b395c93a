{{/* What all pods have in common: no root, no rights, nothing to write on but folders of their own. */}}

{{/* Labels, and annotations by which pods are replaced when their configuration changes. (list $ component) */}}
{{- define "voicehelper.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "voicehelper.labels" . | nindent 2 }}
annotations:
  voicehelper.io/config: {{ include (printf "voicehelper.%s.config" (index . 1)) $root | sha256sum | trunc 16 }}
  {{- with $root.Values.podDefaults.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "voicehelper.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* (list $ component) */}}
{{- define "voicehelper.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ index . 1 }}
{{ include "voicehelper.podSecurity" $root }}
{{- with $root.Values.priorityClasses.platform }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: 30
topologySpreadConstraints:
  {{- range (list "topology.kubernetes.io/zone" "kubernetes.io/hostname") }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "voicehelper.selector" (list $root (index $ 1)) | nindent 8 }}
  {{- end }}
{{- with $root.Values.podDefaults.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.podDefaults.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.podDefaults.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "voicehelper.container" -}}
image: {{ include "voicehelper.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* How many, where no autoscaler says it. (list replicas autoscaling) */}}
{{- define "voicehelper.replicas" -}}
{{- if not (dig "enabled" false (index . 1)) }}
replicas: {{ index . 0 }}
{{- end }}
revisionHistoryLimit: 3
progressDeadlineSeconds: 300
{{- end }}

{{- define "voicehelper.rollingUpdate" -}}
strategy:
  type: RollingUpdate
  rollingUpdate:
    maxSurge: 1
    maxUnavailable: 0
{{- end }}

{{/*
A process is alive as soon as it answers; it is ready when its stores are. The periods are the founding ones; their
delays are not needed, since the first answer is waited for by the startup probe. (list port)
*/}}
{{- define "voicehelper.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* Between the news that a pod goes and its end, so that nobody sends it a new connection. The image has no shell. */}}
{{- define "voicehelper.leaving" -}}
lifecycle:
  preStop:
    exec:
      command: [python3.11, -c, import time; time.sleep(3)]
{{- end }}
