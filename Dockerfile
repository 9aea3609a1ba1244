# The pages on a CPU: docker build -t cnn-showcase . && docker run -p 8501:8501 cnn-showcase
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
# PyTorch's index of CPU wheels: docker build --build-arg TORCH_INDEX=ADDRESS
ARG TORCH_INDEX=
WORKDIR /app
COPY . .
RUN make .venv/.demo TORCH_INDEX="$TORCH_INDEX"
EXPOSE 8501
HEALTHCHECK --interval=30s --start-period=60s CMD \
    .venv/bin/python -c "import urllib.request as u; u.urlopen('http://localhost:8501/_stcore/health', timeout=5)"
CMD [".venv/bin/cnn", "demo", "--address", "0.0.0.0"]
