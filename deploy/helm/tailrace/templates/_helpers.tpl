{{- define "tailrace.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 41 characters: with the suffixes of services, pods and revisions a name must be at most 63 (a label). */}}
{{- define "tailrace.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 41 | trimSuffix "-" -}}
{{- else if contains (include "tailrace.name" .) .Release.Name -}}
{{- .Release.Name | trunc 41 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tailrace.name" .) | trunc 41 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.headless" -}}
{{- printf "%s-headless" (include "tailrace.fullname" .) -}}
{{- end -}}

{{- define "tailrace.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tailrace.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tailrace.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "tailrace.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The labels of a node's pod. Pods of "helm test" do not have the component, so no service selects them. */}}
{{- define "tailrace.nodeLabels" -}}
{{ include "tailrace.selectorLabels" . }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "tailrace.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "tailrace.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The DNS name of a service, in full. */}}
{{- define "tailrace.domain" -}}
{{- printf "%s.svc.%s" .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "tailrace.tlsSecret" -}}
{{- if eq .Values.tls.mode "secret" -}}
{{- required "tls.mode is \"secret\", so tls.secretName must name a Secret with tls.crt, tls.key and ca.crt" .Values.tls.secretName -}}
{{- else -}}
{{- printf "%s-tls" (include "tailrace.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.gossipSecret" -}}
{{- if .Values.gossip.existingSecret -}}
{{- .Values.gossip.existingSecret -}}
{{- else if .Values.gossip.key -}}
{{- printf "%s-gossip" (include "tailrace.fullname" .) -}}
{{- else -}}
{{- fail "set gossip.existingSecret, or gossip.key to a key from \"tailrace keygen\"" -}}
{{- end -}}
{{- end -}}

{{/* The names under which clients and nodes reach this release, without ports. */}}
{{- define "tailrace.dnsNames" -}}
{{- $service := include "tailrace.fullname" . -}}
{{- $headless := include "tailrace.headless" . -}}
{{- $domain := include "tailrace.domain" . -}}
- {{ $service }}
- {{ $service }}.{{ .Release.Namespace }}
- {{ $service }}.{{ .Release.Namespace }}.svc
- {{ $service }}.{{ $domain }}
- {{ $headless }}.{{ $domain }}
{{- end -}}

{{/* Refuses values with which two clusters could form, or a node could be killed before it has stopped. */}}
{{- define "tailrace.checks" -}}
{{- $replicas := int .Values.replicas -}}
{{- $majority := add (div $replicas 2) 1 | int -}}
{{- range .Values.extraArgs -}}
{{- if hasPrefix "--bootstrap-expect" . -}}
{{- fail "set bootstrapExpect, and not --bootstrap-expect in extraArgs" -}}
{{- else if and (hasPrefix "--bootstrap" .) (ne $replicas 1) -}}
{{- fail (printf "extraArgs has --bootstrap and replicas is %d: each empty node would form a cluster of its own; set replicas to 1, and raise it later without --bootstrap" $replicas) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasPrefix "TAILRACE_BOOTSTRAP" .name -}}
{{- fail (printf "set bootstrapExpect, and not %s in extraEnv" .name) -}}
{{- end -}}
{{- end -}}
{{- with .Values.bootstrapExpect -}}
{{- if lt (int .) $majority -}}
{{- fail (printf "bootstrapExpect is %d and replicas is %d: two clusters could form; set it to at least %d, or to null" (int .) $replicas $majority) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.backup.bucket .Values.backup.restoreNewNodes (eq $replicas 1) -}}
{{- fail "backup.restoreNewNodes needs more than one replica: a single node with an empty volume would start a cluster from an old backup" -}}
{{- end -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int .Values.preStopWaitSeconds) -}}
{{- fail "terminationGracePeriodSeconds must be greater than preStopWaitSeconds, or a node is killed before it stops" -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.config" -}}
{{- $names := list -}}
{{- range $n := until (int .Values.replicas) -}}
{{- $names = append $names (printf "%s-%d.%s.%s" (include "tailrace.fullname" $) $n (include "tailrace.headless" $) (include "tailrace.domain" $)) -}}
{{- end -}}
{{- $joins := list -}}
{{- range $names -}}{{- $joins = append $joins (printf "%s:8080" .) -}}{{- end -}}
{{- $config := dict
  "ops-addr" (printf "%s:9080" .Values.bindHost)
  "start-join-addrs" $joins
  "bootstrap-expect" (int (.Values.bootstrapExpect | default .Values.replicas))
-}}
{{- if has "--bootstrap" .Values.extraArgs -}}
{{- $config = omit $config "bootstrap-expect" -}}
{{- end -}}
{{- /* Without TLS, requests are taken at these names only; with TLS, a login begins at them. */}}
{{- $hosts := concat (include "tailrace.dnsNames" . | fromYamlArray) $names (index .Values.config "allow-hosts" | default list) -}}
{{- $config = set $config "allow-hosts" $hosts -}}
{{- if eq .Values.tls.mode "none" -}}
{{- $config = set $config "allow-plaintext" true -}}
{{- else -}}
{{- $config = merge $config (dict
  "server-tls-cert-file" "/etc/tailrace/tls/tls.crt"
  "server-tls-key-file" "/etc/tailrace/tls/tls.key"
  "server-tls-ca-file" "/etc/tailrace/tls/ca.crt"
  "client-auth" .Values.tls.clientAuth
) -}}
{{- end -}}
{{- if .Values.access.policy -}}
{{- $config = set $config "acl-policy-file" "/etc/tailrace/access/policy.csv" -}}
{{- end -}}
{{- if .Values.access.model -}}
{{- $config = set $config "acl-model-file" "/etc/tailrace/access/model.conf" -}}
{{- end -}}
{{- with .Values.backup -}}
{{- if .bucket -}}
{{- $url := include "tailrace.backupUrl" $ -}}
{{- $config = merge $config (dict "backup-to" $url "backup-every" .every "backup-keep" (int .keep)) -}}
{{- if .endpoint -}}{{- $config = set $config "s3-endpoint" .endpoint -}}{{- end -}}
{{- if .encryption -}}{{- $config = set $config "s3-encryption" .encryption -}}{{- end -}}
{{- if .encryptionKey -}}{{- $config = set $config "s3-encryption-key" .encryptionKey -}}{{- end -}}
{{- if .restoreNewNodes -}}{{- $config = set $config "restore-from" $url -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- merge $config .Values.config | toYaml -}}
{{- end -}}

{{- define "tailrace.backupUrl" -}}
{{- $prefix := .Values.backup.prefix | default (printf "%s/%s" .Release.Namespace (include "tailrace.fullname" .)) -}}
{{- printf "s3://%s/%s" .Values.backup.bucket $prefix -}}
{{- end -}}

{{/* The port of the S3 server. */}}
{{- define "tailrace.backupPort" -}}
{{- $url := urlParse (.Values.backup.endpoint | default "https://s3") -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port | default (eq $url.scheme "http" | ternary "80" "443") -}}
{{- end -}}

{{/* The variables of the client of S3. Without a Secret, Kubernetes or EKS adds those of a role. */}}
{{- define "tailrace.backupEnv" -}}
{{- if .Values.backup.bucket -}}
- name: AWS_REGION
  value: {{ .Values.backup.region | quote }}
{{- with .Values.backup.credentialsSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.backup.credentialsSecret }}
      key: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* For every container. */}}
{{- define "tailrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "tailrace.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The variables that the client commands read, so that they need no flags in a container. */}}
{{- define "tailrace.clientEnv" -}}
{{- if ne .Values.tls.mode "none" -}}
- name: TAILRACE_TLS_CA_FILE
  value: /etc/tailrace/tls/ca.crt
- name: TAILRACE_TLS_CERT_FILE
  value: /etc/tailrace/tls/tls.crt
- name: TAILRACE_TLS_KEY_FILE
  value: /etc/tailrace/tls/tls.key
{{- end }}
{{- end -}}

{{/* A container of "helm test", without its name and arguments. */}}
{{- define "tailrace.testContainer" -}}
image: {{ include "tailrace.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with include "tailrace.clientEnv" . }}
env:
  {{- . | nindent 2 }}
{{- end }}
resources:
  requests: { cpu: 100m, memory: 128Mi, ephemeral-storage: 16Mi }
  limits: { memory: 256Mi, ephemeral-storage: 16Mi }
securityContext:
  {{- include "tailrace.containerSecurity" . | nindent 2 }}
{{- if ne .Values.tls.mode "none" }}
volumeMounts:
  - { name: tls, mountPath: /etc/tailrace/tls, readOnly: true }
{{- end }}
{{- end -}}
