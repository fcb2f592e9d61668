# One binary, not root, configuration mounted. SIP and RTP need the host's addresses in their messages: run with --network host, or
# set the advertised address in the configuration and publish the SIP port and the whole RTP range.
#
#   docker build -t partyline .
#   docker run --network host -v $PWD/partyline.toml:/etc/partyline/partyline.toml:ro -v partyline-usage:/var/lib/partyline partyline
#
# With token_file = "token" in it, mount that file as /etc/partyline/token too. User 10001 must be able to read both.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# the image has this one; rust-toolchain.toml would fetch the newest stable instead
ENV RUSTUP_TOOLCHAIN=1.95.0
# libopus is built from source
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cargo build --locked --release --package server --bin partyline

FROM debian:bookworm-slim
# curl is what the health check asks with
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --shell /usr/sbin/nologin --home-dir /var/lib/partyline --create-home --skel /dev/null partyline
COPY --from=build /src/target/release/partyline /usr/local/bin/partyline
COPY config/prompts /usr/share/partyline/prompts
COPY config/partyline.toml /usr/share/partyline/partyline.toml
# Paths in the configuration are relative to its folder, into which only the file is mounted: the defaults
# of media.prompts and usage.spool lead from there to the prompts of the image and to the volume.
RUN mkdir /etc/partyline \
 && ln -s /usr/share/partyline/prompts /etc/partyline/prompts \
 && ln -s /var/lib/partyline /etc/partyline/usage
USER partyline
WORKDIR /var/lib/partyline
VOLUME /var/lib/partyline
# SIP over UDP, TCP and TLS; HTTP (API, metrics, health); RTP and RTCP
EXPOSE 5060/udp 5060/tcp 5061/tcp 8080/tcp 20000-20399/udp
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s CMD curl -fsS http://127.0.0.1:8080/livez || exit 1
# SIGTERM drains: calls that run end well, new ones are refused
STOPSIGNAL SIGTERM
ENTRYPOINT ["partyline"]
CMD ["serve", "--config", "/etc/partyline/partyline.toml"]
