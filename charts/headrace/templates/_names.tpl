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

{{- /* How alike two words are: the letters of the first that the second has, less what the lengths differ by. */ -}}
{{- define "headrace.likeness" -}}
{{- $one := lower (index . 0) -}}
{{- $other := lower (index . 1) -}}
{{- $shared := 0 -}}
{{- range splitList "" $one }}{{ if contains . $other }}{{ $shared = add $shared 2 }}{{ end }}{{ end -}}
{{- $apart := sub (len $one) (len $other) -}}
{{- sub $shared (max $apart (mul $apart -1)) -}}
{{- end }}

{{- /* The word of a list that is nearest to another: (list WORD WORDS). */ -}}
{{- define "headrace.nearest" -}}
{{- $word := index . 0 -}}
{{- $best := "" -}}
{{- $most := -1000 -}}
{{- range index . 1 -}}
{{- $likeness := int (include "headrace.likeness" (list $word .)) -}}
{{- if gt $likeness $most }}{{ $most = $likeness }}{{ $best = . }}{{ end -}}
{{- end -}}
{{- $best -}}
{{- end }}
