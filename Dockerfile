# Builds one static program and puts it, with the certificate authorities it trusts, into an otherwise empty image:
# no shell, no package manager, no user but a number.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# Which commit this is: the repository itself is not part of the build.
ARG GIT_SHA=""
ARG BUILD_DATE=""
# Static, and optimised by a profile of itself at work.
RUN deploy/build /bigin-photo-proxy

FROM scratch
ARG GIT_SHA=""
LABEL org.opencontainers.image.title="bigin-photo-proxy" \
      org.opencontainers.image.description="Deletes profile photos in Zoho Bigin for callers without credentials" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$GIT_SHA"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /bigin-photo-proxy /bigin-photo-proxy
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bigin-photo-proxy"]
CMD ["serve", "--config", "/etc/bigin-photo-proxy/config.toml"]
