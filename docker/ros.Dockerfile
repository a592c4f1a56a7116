# Full ROS 2 Jazzy with the workspace built. From the repository's root:
#   docker build -f docker/ros.Dockerfile -t flow_manip .
#   docker run --rm -it flow_manip make demo
FROM ros:jazzy-ros-base

ENV DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install -y --no-install-recommends \
      g++ make cmake python3-venv python3-dev python3-colcon-common-extensions python3-rosdep \
      libegl1 libopengl0 libgl1-mesa-dri libusb-1.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /flow_manip
# Dependencies first, so that a change of code does not install them again.
COPY src/flow_manip_msgs/package.xml src/flow_manip_msgs/package.xml
RUN apt-get update && rosdep update && rosdep install --from-paths src --ignore-src -y && rm -rf /var/lib/apt/lists/*
# More of ROS, for what is optional: MoveIt.
ARG EXTRA_PACKAGES=""
RUN apt-get update && apt-get install -y --no-install-recommends $EXTRA_PACKAGES && rm -rf /var/lib/apt/lists/*
COPY . .
RUN apt-get update && make setup && rm -rf /var/lib/apt/lists/* /root/.cache

SHELL ["/bin/bash", "-c"]
ENTRYPOINT ["/bin/bash", "-c", "source env.sh && exec \"$@\"", "--"]
CMD ["ros2", "launch", "flow_manip", "bringup.launch.py"]
