# The reference notebook runtime: Python with papermill, kernels and the usual libraries, as pinned in deploy/runtime.
# NES needs nothing of its own in it; any image with Python, papermill and a kernel will do.
#   docker build -f deploy/docker/notebook.Dockerfile -t nes/notebook .
FROM python:3.11-slim-bookworm
COPY deploy/runtime/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-compile -r /tmp/requirements.txt \
 && python -m bash_kernel.install --sys-prefix \
 && find / -xdev -name __pycache__ -prune -exec rm -rf {} + \
 && python -m compileall -q --invalidation-mode unchecked-hash /usr/local/lib \
 && rm /tmp/requirements.txt
USER 1000:1000
ENV HOME=/tmp
WORKDIR /tmp
CMD ["python3"]
