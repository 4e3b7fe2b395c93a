{{/* Names, labels and the image. Objects have the names of their components: the namespace is the platform's own. */}}

{{- define "voicehelper.release" -}}
{{- .Values.image.digest | default (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{- define "voicehelper.image" -}}
{{- .Values.image.repository }}{{ if .Values.image.digest }}@{{ else }}:{{ end }}{{ include "voicehelper.release" . -}}
{{- end }}

{{/* Labels that choose the pods of a component; they never change. (list $ component) */}}
{{- define "voicehelper.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: voicehelper
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* (list $ component) */}}
{{- define "voicehelper.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version | replace "+" "_" }}
{{ include "voicehelper.selector" . }}
{{- if not $root.Values.image.digest }}
app.kubernetes.io/version: {{ include "voicehelper.release" $root | quote }}
{{- else }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
{{- end }}
app.kubernetes.io/part-of: voicehelper
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* Name, namespace and labels of an object that is called as its component. (list $ component) */}}
{{- define "voicehelper.metadata" -}}
name: {{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "voicehelper.labels" . | nindent 2 }}
{{- end }}

{{/* Name of an object of the whole cluster. (list $ component) */}}
{{- define "voicehelper.clusterMetadata" -}}
name: voicehelper-{{ index . 1 }}
labels:
  {{- include "voicehelper.labels" . | nindent 2 }}
{{- end }}

{{/* Full DNS name of a Service of the platform: cells are in other namespaces. (list $ service) */}}
{{- define "voicehelper.host" -}}
{{- $root := index . 0 -}}
{{ index . 1 }}.{{ $root.Release.Namespace }}.svc.{{ $root.Values.clusterDomain }}
{{- end }}

{{/* The router inside of the cluster. */}}
{{- define "voicehelper.routerUrl" -}}
{{- $port := int .Values.router.service.port -}}
http://{{ include "voicehelper.host" (list . "router") }}{{ if ne $port 80 }}:{{ $port }}{{ end }}
{{- end }}

{{- define "voicehelper.jwksUrl" -}}
http://{{ include "voicehelper.host" (list . "identity") }}:8080/.well-known/jwks.json
{{- end }}
