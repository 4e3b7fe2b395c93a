{{/* Settings of a process: a ConfigMap's, then those of the existing Secret, of which a pod sees its own keys only. */}}

{{/* What every process is told. */}}
{{- define "voicehelper.commonConfig" -}}
environment: {{ .Values.environment | quote }}
region: {{ .Values.region | quote }}
log_level: {{ .Values.logLevel | quote }}
service_version: {{ include "voicehelper.release" . | quote }}
{{- end }}

{{/* config.json, with the component's own `settings` on top. (list $ component settings) */}}
{{- define "voicehelper.configMap" -}}
{{- $root := index . 0 -}}
{{- $rendered := include (printf "voicehelper.%s.config" (index . 1)) $root -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "voicehelper.metadata" (list $root (index . 1)) | nindent 2 }}
data:
  config.json: |
    {{- $rendered | nindent 4 }}
{{- end }}

{{/* One JSON text of YAML and of what is laid over it. (list $ yaml settings) */}}
{{- define "voicehelper.json" -}}
{{- $common := include "voicehelper.commonConfig" (index . 0) | fromYaml -}}
{{- $own := index . 1 | fromYaml -}}
{{- mustMergeOverwrite $common $own (deepCopy (index . 2)) | mustToPrettyJson -}}
{{- end }}

{{/* (list of keys of the Secret) */}}
{{- define "voicehelper.environment" -}}
- name: VOICEHELPER_CONFIG
  value: /etc/voicehelper/config/config.json{{ range . }}:/etc/voicehelper/secrets/{{ . }}{{ end }}
{{- end }}

{{/* (list of keys of the Secret) */}}
{{- define "voicehelper.settingsMounts" -}}
- {name: config, mountPath: /etc/voicehelper/config, readOnly: true}
{{- if . }}
- {name: secrets, mountPath: /etc/voicehelper/secrets, readOnly: true}
{{- end }}
- {name: scratch, mountPath: /tmp}
{{- end }}

{{/* (list $ component (list of keys of the Secret)) */}}
{{- define "voicehelper.settingsVolumes" -}}
- name: config
  configMap:
    name: {{ index . 1 }}
{{- with index . 2 }}
{{ include "voicehelper.secretVolume" (list (index $ 0) .) }}
{{- end }}
- name: scratch
  emptyDir:
    sizeLimit: 256Mi
{{- end }}

{{/* (list $ (list of keys of the Secret)) */}}
{{- define "voicehelper.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ (index . 0).Values.secrets.existing }}
    defaultMode: 0440
    items:
      {{- range index . 1 }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}

{{/*
The token of the API server, for the one container that asks it: what `automountServiceAccountToken` would put into
every container of the pod.
*/}}
{{- define "voicehelper.tokenMount" -}}
- {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{- define "voicehelper.tokenVolume" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: {fieldPath: metadata.namespace}
{{- end }}
