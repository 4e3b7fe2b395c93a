{{/* InferenceSettings. */}}
{{- define "voicehelper.inference.config" -}}
{{- $own := dict
  "http_host" "0.0.0.0"
  "http_port" 8080
  "grpc_host" "0.0.0.0"
  "grpc_port" 9090
  "model_dir" "/var/lib/voicehelper/models"
-}}
{{- include "voicehelper.json" (list . ($own | toYaml) .Values.inference.settings) -}}
{{- end }}
