# Prometheus, or anything else that collects metrics: the metrics of this mount, which hold no token and no secret.
# It can do nothing else.
path "workfront/metrics" {
  capabilities = ["read"]
}
