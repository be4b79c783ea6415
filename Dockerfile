# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS builder
# The Kafka client library is C; OpenSSL and zlib are linked from the system.
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential pkg-config libssl-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# The caches outlive a change of the sources; the binary is copied out because they are no part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin usher \
    && install -D target/release/usher /install/bin/usher
# The man pages and the completions of shells are made by the binary that they are for.
WORKDIR /install
RUN mkdir -p share/bash-completion/completions share/fish/vendor_completions.d share/zsh/site-functions \
    && bin/usher man --dir share/man/man1 \
    && bin/usher completions bash > share/bash-completion/completions/usher \
    && bin/usher completions fish > share/fish/vendor_completions.d/usher.fish \
    && bin/usher completions zsh > share/zsh/site-functions/_usher

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin usher \
    && install -d -o usher -g usher -m 0700 /var/lib/usher
COPY --from=builder /install/ /usr/local/
USER usher
# Relative paths of the configuration, such as the spool's, end up here.
WORKDIR /var/lib/usher
EXPOSE 8088
# SIGTERM, the default, lets usher finish what it has begun.
ENTRYPOINT ["usher"]
CMD ["serve"]
