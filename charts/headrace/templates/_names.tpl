{{- define "headrace.labels" -}}
app.kubernetes.io/name: headrace
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "headrace.selector" -}}
app.kubernetes.io/name: headrace
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "headrace.namespaces" -}}
{{- join "," (.Values.watch.namespaces | default (list .Release.Namespace)) -}}
{{- end }}

{{- /* The reference of an image: (list CONTEXT NAME). The registry of the chart, else the one of the parent chart. */ -}}
{{- define "headrace.image" -}}
{{- $context := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := $context.Values -}}
{{- $registry := $values.images.registry | default (dig "registry" "" ($values.global | default dict)) -}}
{{- $reference := get $values.images $name -}}
{{- if not (or $registry $reference) }}{{ fail (printf "images.%s is missing and there are no published images: run `make images REGISTRY=host/path > images.yaml` in Headrace's repository, then give the values it wrote with `-f images.yaml`, or set images.registry to where the images are." $name) }}{{ end -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end }}{{ $reference | default (printf "%s:%s" $name $context.Chart.AppVersion) }}
{{- end }}
