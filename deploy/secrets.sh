#!/bin/sh
# Creates the services' secrets in DIR: an authority, a certificate for each service, the token, the password of OpenSearch.
#   usage: deploy/secrets.sh DIR [NAME ...]     NAMEs are further names of the query service, as photos.example.org
#   then:  kubectl apply -k DIR                 (compose takes DIR as it is)
# Existing files stay unchanged. A certificate of another authority, without one of the NAMEs, or that expires in less than 30 days is
# renewed with its names. To replace another file, delete it, run this again, and apply again. Keep DIR out of version control.
set -euf
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

# Whether the certificate of $service exists, is of this authority, and is valid for 30 more days.
good() {
    [ -e "$dir/$service/tls.key" ] && openssl verify -CAfile "$dir/ca.crt" "$dir/$service/tls.crt" >/dev/null 2>&1 &&
        openssl x509 -in "$dir/$service/tls.crt" -noout -checkend 2592000 >/dev/null
}

for service in embedding ingest query; do
    mkdir -p "$dir/$service"
    cp "$dir/ca.crt" "$dir/$service/ca.crt"
    wanted="$service $service.miradouro $service.miradouro.svc $service.miradouro.svc.cluster.local localhost"
    [ "$service" != query ] || wanted="$wanted $*"
    names=IP:127.0.0.1
    [ ! -e "$dir/$service/tls.crt" ] ||
        names=$(openssl x509 -in "$dir/$service/tls.crt" -noout -ext subjectAltName | sed -n 's/IP Address:/IP:/; $s/ //gp')
    names=${names:-IP:127.0.0.1}
    lacking=
    for name in $wanted; do
        case ",$names," in *",DNS:$name,"*) ;; *) lacking="$lacking,DNS:$name" ;; esac
    done
    ! good || [ -n "$lacking" ] || continue
    [ -e "$dir/ca.key" ] || { echo "$dir/ca.key is not there: put it back, or delete ca.crt for a new authority" >&2 && exit 1; }
    # shellcheck disable=SC2086 # words
    openssl req -new $key -subj "/CN=$service" -keyout "$dir/$service/key" -out "$dir/$service/request" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$names$lacking" >"$dir/$service/extensions"
    openssl x509 -req -in "$dir/$service/request" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -days 365 \
        -extfile "$dir/$service/extensions" -out "$dir/$service/certificate" 2>/dev/null
    mv "$dir/$service/key" "$dir/$service/tls.key"
    mv "$dir/$service/certificate" "$dir/$service/tls.crt"
    rm "$dir/$service/request" "$dir/$service/extensions"
    echo "made a certificate for $service"
done

[ -e "$dir/token" ] || openssl rand -hex 32 >"$dir/token"
[ -e "$dir/opensearch-password" ] || openssl rand -base64 24 | tr -d '\n' >"$dir/opensearch-password"
# For compose only: the object store's keys, for root and for the services' user.
[ -e "$dir/s3-root-password" ] || openssl rand -hex 24 >"$dir/s3-root-password"
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
