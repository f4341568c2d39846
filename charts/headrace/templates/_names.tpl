{{- /* What names begin with, and the name of the operator, of its account and of its rights; not its Lease's. */ -}}
{{- define "headrace.prefix" -}}
{{- .Values.nameOverride | default "headrace" -}}
{{- end }}

{{- define "headrace.operator" -}}
{{- .Values.fullnameOverride | default (printf "%s-operator" (include "headrace.prefix" .)) -}}
{{- end }}

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

{{- /* The namespaces that it knows, with commas between; none where all are watched. */ -}}
{{- define "headrace.namespaces" -}}
{{- if and .Values.watch.all .Values.watch.namespaces }}{{ fail "watch.all and watch.namespaces are both given: all has every namespace, take out one of them." }}{{ end -}}
{{- if not .Values.watch.all }}{{ join "," (.Values.watch.namespaces | default (list .Release.Namespace)) }}{{ end -}}
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
