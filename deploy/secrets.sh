#!/bin/sh
# Makes in DIR what the services keep secret: an authority, a certificate for each service, the token, the password of OpenSearch.
#   usage: deploy/secrets.sh DIR [NAME ...]     NAMEs are further names of the query service, as photos.example.org
#   then:  kubectl apply -k DIR                 (compose takes DIR as it is)
# What is there stays. To replace something, delete its file, run this again and apply again. Keep DIR out of version control.
set -eu
dir=$1
shift
umask 077
mkdir -p "$dir"
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

if [ ! -e "$dir/ca.crt" ]; then
    # shellcheck disable=SC2086 # words
    openssl req -x509 $key -days 3650 -subj "/CN=miradouro authority" -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>/dev/null
fi

for service in embedding ingest query; do
    mkdir -p "$dir/$service"
    [ ! -e "$dir/$service/tls.crt" ] || continue
    names="DNS:$service,DNS:$service.miradouro,DNS:$service.miradouro.svc,DNS:$service.miradouro.svc.cluster.local"
    names="$names,DNS:localhost,IP:127.0.0.1"
    [ "$service" != query ] || for name in "$@"; do names="$names,DNS:$name"; done
    # shellcheck disable=SC2086 # words
    openssl req -new $key -subj "/CN=$service" -keyout "$dir/$service/tls.key" -out "$dir/$service/request" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$names" >"$dir/$service/extensions"
    openssl x509 -req -in "$dir/$service/request" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -days 365 \
        -extfile "$dir/$service/extensions" -out "$dir/$service/tls.crt" 2>/dev/null
    rm "$dir/$service/request" "$dir/$service/extensions"
    cp "$dir/ca.crt" "$dir/$service/ca.crt"
done

[ -e "$dir/token" ] || openssl rand -hex 32 >"$dir/token"
[ -e "$dir/opensearch-password" ] || openssl rand -base64 24 | tr -d '\n' >"$dir/opensearch-password"
# Compose alone: the key of its object store.
[ -e "$dir/s3-password" ] || openssl rand -hex 24 >"$dir/s3-password"
printf '[default]\naws_access_key_id = miradouro\naws_secret_access_key = %s\n' "$(cat "$dir/s3-password")" >"$dir/s3-credentials"

cat >"$dir/kustomization.yaml" <<'END'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: miradouro
generatorOptions:
  disableNameSuffixHash: true
secretGenerator:
  - name: embedding-tls
    files: [embedding/tls.crt, embedding/tls.key, embedding/ca.crt]
  - name: ingest-tls
    files: [ingest/tls.crt, ingest/tls.key, ingest/ca.crt]
  - name: query-tls
    files: [query/tls.crt, query/tls.key, query/ca.crt]
  - name: miradouro-token
    files: [token]
  - name: miradouro-opensearch
    files: [password=opensearch-password]
END
echo "made in $dir: ca.crt (for clients), token, and the secrets of the services"
