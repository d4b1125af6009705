# The toolkit with Terraform and the AWS provider beside it, for runners of any CI: docs/how-to/container-image.md says how.
#
# Everything that is fetched is pinned: the base by digest, Terraform by the line of its SHA256SUMS, the provider by
# image/.terraform.lock.hcl, packages by the hashes of requirements*.txt. Debian's Git is the only exception.
# `--build-context` replaces what cannot be fetched: `packages` a folder with a `pip.conf` and wheels, `terraform-amd64`
# or `terraform-arm64` a folder with `terraform.zip`.

FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS base

FROM scratch AS packages

FROM scratch AS terraform-amd64
ADD --checksum=sha256:1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc https://releases.hashicorp.com/terraform/1.11.4/terraform_1.11.4_linux_amd64.zip /terraform.zip

FROM scratch AS terraform-arm64
ADD --checksum=sha256:a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633 https://releases.hashicorp.com/terraform/1.11.4/terraform_1.11.4_linux_arm64.zip /terraform.zip

FROM terraform-${TARGETARCH} AS terraform-zip

FROM base AS terraform
WORKDIR /terraform
RUN --mount=type=bind,from=terraform-zip,target=/zip \
    python -m zipfile --extract /zip/terraform.zip . && chmod 755 terraform
WORKDIR /provider
COPY image/ ./
# In a base with a mirror of its own Terraform makes links into it; the copy has the files.
RUN /terraform/terraform init -backend=false -input=false -lockfile=readonly \
    && cp --recursive --dereference .terraform/providers /plugins

FROM base AS toolkit
WORKDIR /source
ENV PIP_CONFIG_FILE=/packages/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# With it, byte code has hashes of the sources in it instead of times, so that two builds have the same bytes.
ARG SOURCE_DATE_EPOCH=0
ENV PYTHONHASHSEED=0
COPY requirements-build.txt requirements.txt ./
RUN --mount=type=bind,from=packages,target=/packages \
    python -m venv /build \
    && /build/bin/pip install --no-deps --no-build-isolation --require-hashes --requirement requirements-build.txt \
    && /build/bin/pip wheel --no-deps --no-build-isolation --require-hashes --requirement requirements.txt --wheel-dir /wheels
COPY . .
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/toolkit \
    && /build/bin/pip --python /opt/toolkit install --no-deps --no-index /wheels/*.whl

FROM base
LABEL org.opencontainers.image.title="base-image-toolkit" \
      org.opencontainers.image.description="Keep the base images of your builds in Amazon ECR" \
      org.opencontainers.image.source="https://github.com/base-image-toolkit/base-image-toolkit" \
      org.opencontainers.image.licenses="Apache-2.0 AND BUSL-1.1 AND MPL-2.0"
# Git knows the commit that a plan was made from. Runners mount checkouts of other users, which it would not trust.
RUN command -v git > /dev/null \
    || { apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*; }
RUN git config --system --add safe.directory '*'
COPY --from=terraform /terraform/terraform /usr/local/bin/
COPY --from=terraform /plugins /usr/local/share/terraform/plugins
COPY --from=toolkit /opt/toolkit /opt/toolkit
# Runners choose other users, who have no home. CHECKPOINT_DISABLE: Terraform asks for no newer version.
ENV PATH=/opt/toolkit/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp CHECKPOINT_DISABLE=1
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["toolkit"]
CMD ["--help"]
