"""What a process tells about itself: metrics (Prometheus and CloudWatch EMF), JSON logs, traces of cycles."""
