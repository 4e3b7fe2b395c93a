{{/* What autoscalers of cells look at, as JSON. */}}
{{- define "voicehelper.autoscalerMetrics" -}}
{{- $served := .Values.autoscaling.metrics -}}
{{- if not $served }}
{{- if .Capabilities.APIVersions.Has "metrics.k8s.io/v1beta1" }}
{{- $served = list "cpu" "memory" -}}
{{- end }}
{{- if or .Values.metricsAdapter.enabled (.Capabilities.APIVersions.Has "custom.metrics.k8s.io/v1beta2") }}
{{- $served = append $served "requests" -}}
{{- end }}
{{- end }}
{{- toJson $served -}}
{{- end }}

{{/* ClusterOperatorSettings. */}}
{{- define "voicehelper.operator.config" -}}
{{- $stores := .Values.stores -}}
{{- $peers := dict -}}
{{- range $name, $store := $stores }}
{{- $_ := set $peers $name $store.peers -}}
{{- end }}
{{- $secrets := list -}}
{{- range .Values.image.pullSecrets }}
{{- $secrets = append $secrets . -}}
{{- end }}
{{- $own := dict
  "postgres_host" $stores.postgres.host
  "postgres_port" (int $stores.postgres.port)
  "postgres_database" $stores.postgres.database
  "kafka_bootstrap" $stores.kafka.bootstrap
  "milvus_uri" $stores.milvus.uri
  "objects_root" $stores.objects.root
  "objects_endpoint" $stores.objects.endpoint
  "objects_region" $stores.objects.region
  "archive_root" (printf "%s/archives" $stores.objects.root)
  "archive_spool" "/var/lib/voicehelper"
  "identity_address" (printf "%s:9090" (include "voicehelper.host" (list . "identity")))
  "inference_address" (printf "%s:9090" (include "voicehelper.host" (list . "inference")))
  "analytics_address" (printf "%s:9090" (include "voicehelper.host" (list . "analytics")))
  "router_url" (include "voicehelper.routerUrl" .)
  "routers_url" (printf "http://%s:8081" (include "voicehelper.host" (list . "routers")))
  "public_url" .Values.publicUrl
  "jwks_url" (include "voicehelper.jwksUrl" .)
  "release" (include "voicehelper.release" .)
  "cells_follow" "rollouts"
  "webhook" (dict "enabled" .Values.operator.webhook.enabled "administrators" .Values.operator.webhook.administrators)
  "kubernetes" (dict
    "namespace" .Release.Namespace
    "monitoring_namespace" .Values.monitoring.namespace
    "image_repository" .Values.image.repository
    "image_pull_policy" .Values.image.pullPolicy
    "image_pull_secrets" $secrets
    "stores" $peers
    "dns" .Values.dns
    "autoscaler_metrics" (include "voicehelper.autoscalerMetrics" . | fromJsonArray)
  )
-}}
{{- include "voicehelper.json" (list . ($own | toYaml) .Values.operator.settings) -}}
{{- end }}
