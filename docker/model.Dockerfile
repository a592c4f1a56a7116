# The model server on a machine with a GPU. From the repository's root:
#   docker build -f docker/model.Dockerfile -t flow_manip_models .
#   docker run --rm --gpus all -p 8110:8110 -e FLOW_MANIP_TOKEN -v $HOME/.cache/huggingface:/root/.cache/huggingface flow_manip_models
FROM pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /flow_manip
COPY pyproject.toml .
# No ROS in here: the libraries and the server only. PyTorch stays the image's own.
RUN pip install --upgrade "pip>=25.1" && pip install --group runtime --group models
COPY config config
COPY src src
ENV FLOW_MANIP_CONFIG=/flow_manip/config \
    PYTHONPATH=/flow_manip/src/flow_manip_core:/flow_manip/src/flow_manip_perception:/flow_manip/src/flow_manip_world_model:/flow_manip/src/flow_manip_planning:/flow_manip/src/flow_manip_control:/flow_manip/src/flow_manip_mujoco:/flow_manip/src/flow_manip_learning:/flow_manip/src/flow_manip_task
EXPOSE 8110
# Reachable from other machines, so it refuses to start without FLOW_MANIP_TOKEN.
ENTRYPOINT ["python", "src/flow_manip_task/bin/flow_manip", "serve", "--host", "0.0.0.0"]
CMD ["--config", "config/server.yaml"]
