{{/* Rules of NetworkPolicies, each an entry of `ingress` or `egress`. */}}

{{/* One end of a connection, as `stores.<name>.peers` say it. */}}
{{- define "voicehelper.peer" -}}
{{- if .cidr -}}
ipBlock:
  cidr: {{ .cidr }}
{{- else -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ .namespace }}
{{- with .labels }}
podSelector:
  matchLabels:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "voicehelper.ports" -}}
ports:
  {{- range . }}
  - {protocol: TCP, port: {{ int . }}}
  {{- end }}
{{- end }}

{{/* To peers outside of the platform. (list of peers) */}}
{{- define "voicehelper.toPeers" -}}
{{- range . }}
- to:
    - {{ include "voicehelper.peer" . | nindent 6 | trim }}
  {{- include "voicehelper.ports" .ports | nindent 2 }}
{{- end }}
{{- end }}

{{- define "voicehelper.toDns" -}}
- to:
    - {{ include "voicehelper.peer" .Values.dns | nindent 6 | trim }}
  ports:
    {{- range .Values.dns.ports }}
    - {protocol: UDP, port: {{ int . }}}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
{{- end }}

{{/* To or from another component. (list $ "to" component port...) */}}
{{- define "voicehelper.component" -}}
- {{ index . 1 }}:
    - podSelector:
        matchLabels:
          {{- include "voicehelper.selector" (list (index . 0) (index . 2)) | nindent 10 }}
  {{- include "voicehelper.ports" (slice . 3) | nindent 2 }}
{{- end }}

{{/* To or from the pods of all cells. (list "to" port...) */}}
{{- define "voicehelper.cells" -}}
- {{ index . 0 }}:
    - namespaceSelector:
        matchExpressions:
          - {key: voicehelper.io/cell, operator: Exists}
  {{- include "voicehelper.ports" (slice . 1) | nindent 2 }}
{{- end }}

{{/* Metrics. (list $ port) */}}
{{- define "voicehelper.fromMonitoring" -}}
- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ (index . 0).Values.monitoring.namespace }}
  {{- include "voicehelper.ports" (slice . 1) | nindent 2 }}
{{- end }}

{{/* The API server's questions, whatever ports it answers at itself. (list $ port) */}}
{{- define "voicehelper.fromApiServer" -}}
- from:
    {{- range (index . 0).Values.apiServer.peers }}
    - {{ include "voicehelper.peer" . | nindent 6 | trim }}
    {{- end }}
  {{- include "voicehelper.ports" (slice . 1) | nindent 2 }}
{{- end }}

{{/* Head of the policy of a component. (list $ component) */}}
{{- define "voicehelper.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "voicehelper.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "voicehelper.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end }}
