{{/* MetricsAdapterSettings. */}}
{{- define "voicehelper.metrics-adapter.config" -}}
{{- $own := dict "namespace" .Release.Namespace "service" "metrics-adapter" "certificate_secret" "metrics-adapter-certificate" -}}
{{- include "voicehelper.json" (list . ($own | toYaml) .Values.metricsAdapter.settings) -}}
{{- end }}
