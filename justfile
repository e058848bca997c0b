# The recipes are the jobs of continuous integration, and what is too long for them. https://just.systems

# Everything that must be green before a commit.
check:
    tests/run

# The proxy in front of a fake Zoho.
sandbox:
    cargo run --release --locked -- sandbox

# Formatting and lints alone: the quick half of `check`.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Cold starts of fifty replicas, twenty times each.
fleet:
    FLEET_REPETITIONS=20 cargo nextest run --locked --test fleet -E 'test(cold_start)'

# What the store costs a replica: memory, commands a minute.
fleet-figures:
    cargo test --release --locked --test fleet -- --ignored --nocapture what_the_store_costs

# How long the parts of a request take.
bench-parts:
    cargo bench --locked --bench parts

# The comparison with other proxies; writes the tables in README.md and docs/performance.md. Some 40 minutes, on two
# cores that have nothing else to do. `just bench cpu` measures a part.
bench *parts:
    benches/compare/setup.sh
    benches/compare/build.sh
    benches/compare/run {{parts}}

# Looks for bytes that break what must hold for any (fuzz/src/lib.rs), each property for so many seconds.
fuzz seconds="600":
    fuzz/run {{seconds}}

# Breaks the code in each way that .cargo/mutants.toml names, and says which breakages no test notices; hours on two cores.
# `just mutants --re src/target.rs` breaks one file. Needs cargo-mutants (cargo install cargo-mutants --locked).
mutants *args:
    PROPTEST_MAX_SHRINK_ITERS=0 CARGO_PROFILE_DEV_DEBUG=0 cargo mutants {{args}}

# What the tests run through, by file. Needs cargo-llvm-cov (cargo install cargo-llvm-cov --locked).
coverage:
    cargo llvm-cov nextest --ignore-run-fail --locked --lib --bins --test behaviour --summary-only \
        -E 'not (test(smuggling::) | test(five_second))'

# The proofs in full, which print the figures of docs/evidence.md: some twelve minutes, on two cores that have nothing
# else to do, with nginx and haproxy installed. `just evidence ledger` is one part; others: attack, overload, rollout.
evidence part="":
    ulimit -n "$(ulimit -Hn)" && cargo test --release --locked --test evidence -- \
        --ignored --nocapture --test-threads 1 --skip a_million {{part}}

# The longest one: a million requests, some fifteen minutes.
evidence-long:
    cargo test --release --locked --test evidence -- --ignored --nocapture a_million

# The description of the API against the running program, with schemathesis: so many made-up requests for each operation.
openapi examples="1000":
    tests/openapi {{examples}}

# The pictures of the status page, and a browser's opinion of it; needs Debian's chromium.
status-page:
    tests/status-page

# Known vulnerabilities of dependencies; needs the network.
advisories:
    cargo deny --locked check advisories

# Custom resources against the definitions of the operators that they are for; needs the network.
custom-resources:
    deploy/kubernetes/validate \
        {{github}}/prometheus-operator/prometheus-operator/v0.93.0/{{prometheus}}_servicemonitors.yaml \
        {{github}}/prometheus-operator/prometheus-operator/v0.93.0/{{prometheus}}_prometheusrules.yaml \
        {{github}}/external-secrets/external-secrets/v2.9.0/config/crds/bases/external-secrets.io_externalsecrets.yaml

github := "https://raw.githubusercontent.com"
prometheus := "example/prometheus-operator-crd/monitoring.coreos.com"

# Alerts and dashboards with a real Prometheus, one fault after another; some fifteen minutes. Needs prometheus and
# redis-server. `just monitoring --images docs/images` also draws the dashboards; that needs nodejs, npm and chromium.
monitoring *args:
    cargo build --locked --workspace --bins
    deploy/monitoring/prove {{args}}

# The container image, as operators get it.
image tag="bigin-photo-proxy:dev":
    docker build --build-arg GIT_SHA=$(git rev-parse --short=12 HEAD) --build-arg BUILD_DATE=$(date -u +%F) -t {{tag}} .

# Whether the image serves, drains, and stays within 64 MiB under attack; needs a Docker engine on this machine.
image-test tag="bigin-photo-proxy:dev":
    deploy/image-test {{tag}}

# What the program consists of, as a CycloneDX bill of materials; the same for the same commit. Needs cargo-cyclonedx
# (cargo install cargo-cyclonedx --locked).
sbom:
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) cargo cyclonedx --quiet --format json --spec-version 1.5 \
        --describe binaries --no-build-deps --target x86_64-unknown-linux-gnu
    rm sandbox/zoho-sandbox_bin.cdx.json
    mv bigin-photo-proxy_bin.cdx.json target/bigin-photo-proxy.cdx.json
