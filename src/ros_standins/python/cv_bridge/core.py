# SPDX-License-Identifier: Apache-2.0
"""`CvBridge`: image messages to numpy arrays as OpenCV uses them, and back."""

from __future__ import annotations

import array
import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ._encodings import (
    channels_of,
    convert,
    cv_type_of,
    depth_of,
    DEPTHS,
    make_type,
    NUMPY_OF_DEPTH,
)

__all__ = ['CvBridge', 'CvBridgeError']


class CvBridgeError(TypeError):
    """A conversion is not possible."""


class CvBridge:
    """Converts between image messages and arrays.

    Arrays have shape (height, width) for one channel, else (height, width, channels).
    """

    def __init__(self) -> None:
        """Build the tables of types."""
        self.cvtype_to_name = {
            make_type(depth, channels): f'{name}C{channels}'
            for name, depth in DEPTHS.items()
            for channels in (1, 2, 3, 4)
        }
        self.cvdepth_to_numpy_depth = dict(NUMPY_OF_DEPTH)
        self.numpy_type_to_cvtype = {NUMPY_OF_DEPTH[depth]: name for name, depth in DEPTHS.items()}
        self.numpy_type_to_cvtype.update({v: k for k, v in self.numpy_type_to_cvtype.items()})

    def dtype_with_channels_to_cvtype2(self, dtype: Any, n_channels: int) -> str:
        """Return the name (as ``8UC3``) of a numpy type with a count of channels."""
        return f'{self.numpy_type_to_cvtype[dtype.name]}C{n_channels}'

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """Return numpy's name and the count of channels of an OpenCV type."""
        return self.cvdepth_to_numpy_depth[depth_of(cvtype)], channels_of(cvtype)

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """Return the OpenCV type of an encoding.

        Raises:
            CvBridgeError: The encoding is not known.
        """
        try:
            return cv_type_of(encoding)
        except ValueError as error:
            raise CvBridgeError(str(error)) from None

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return numpy's name and the count of channels of an encoding."""
        return self.cvtype2_to_dtype_with_channels(self.encoding_to_cvtype2(encoding))

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = 'passthrough'
    ) -> NDArray:
        """Decode a compressed image.

        Args:
            cmprs_img_msg: The message; colours are decoded as bgr8.
            desired_encoding: Encoding of the result, or ``passthrough`` for what the file holds.

        Raises:
            CvBridgeError: The data is no image, or the conversion is not possible.
        """
        buffer = np.frombuffer(cmprs_img_msg.data, np.uint8)
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED) if buffer.size else None
        if image is None:
            raise CvBridgeError(
                f'cannot decode {buffer.size} bytes of format [{cmprs_img_msg.format}]'
            )
        if desired_encoding == 'passthrough':
            return image
        return _converted(image, _decoded_encoding(image), desired_encoding)

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = 'passthrough') -> NDArray:
        """Return an image message as an array.

        Args:
            img_msg: The message; rows may be padded (``step``), bytes in either order.
            desired_encoding: Encoding of the result, or ``passthrough`` for the message's own.

        Returns:
            An array in the machine's byte order. With ``passthrough`` and rows without padding
            it shares the message's memory.

        Raises:
            CvBridgeError: The encoding is not known, the conversion is not possible, or the
                message has fewer bytes than its size asks for.
        """
        name, channels = self.encoding_to_dtype_with_channels(img_msg.encoding)
        image = _view(img_msg, np.dtype(name), channels)
        if bool(img_msg.is_bigendian) == (sys.byteorder == 'little'):
            image = image.byteswap()
        if desired_encoding in ('passthrough', ''):
            return image
        return _converted(image, img_msg.encoding, desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim: NDArray, dst_format: str = 'jpg') -> CompressedImage:
        """Encode an array as a file of a format that OpenCV writes (jpg, png, tiff ...).

        Raises:
            TypeError: The input is no array.
            CvBridgeError: OpenCV cannot write this array in this format.
        """
        _check_array(cvim)
        message = CompressedImage()
        message.format = dst_format
        try:
            done, encoded = cv2.imencode(f'.{dst_format}', cvim)
        except cv2.error as error:
            raise CvBridgeError(f'cannot encode as [{dst_format}]: {error}') from None
        if not done:
            raise CvBridgeError(f'cannot encode as [{dst_format}]')
        message.data = _bytes_of(encoded)
        return message

    def cv2_to_imgmsg(
        self, cvim: NDArray, encoding: str = 'passthrough', header: Header | None = None
    ) -> Image:
        """Return an array as an image message.

        Args:
            cvim: Shape (height, width) or (height, width, channels).
            encoding: What the array holds, or ``passthrough`` for its plain type (as ``8UC3``).
            header: Header of the message.

        Raises:
            TypeError: The input is no array.
            CvBridgeError: The array's type does not fit the encoding.
        """
        _check_array(cvim)
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        try:
            cv_type = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        except KeyError:
            raise CvBridgeError(f'no encoding for an array of type {cvim.dtype}') from None
        message = Image()
        message.height, message.width = cvim.shape[:2]
        if header is not None:
            message.header = header
        message.encoding = cv_type if encoding == 'passthrough' else encoding
        if encoding != 'passthrough':
            wanted = '{}C{}'.format(*self._name(encoding))
            if wanted != cv_type:
                raise CvBridgeError(
                    f'encoding specified as {encoding}, but image has incompatible type {cv_type}'
                )
        message.is_bigendian = _is_bigendian(cvim.dtype)
        message.data = _bytes_of(cvim)
        message.step = len(message.data) // message.height if message.height else 0
        return message

    def _name(self, encoding: str) -> tuple[str, int]:
        dtype, channels = self.encoding_to_dtype_with_channels(encoding)
        return self.numpy_type_to_cvtype[dtype], channels


def _check_array(value: Any) -> None:
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError('Your input type is not a numpy array')


def _is_bigendian(dtype: np.dtype) -> bool:
    if dtype.byteorder in '=|':
        return sys.byteorder == 'big' and dtype.itemsize > 1
    return dtype.byteorder == '>'


def _bytes_of(values: NDArray) -> array.array:
    """Copy an array's bytes into the type in which messages keep them.

    Assigned as a numpy array, rclpy would look at every byte.
    """
    data = array.array('B')
    if values.size:
        data.frombytes(memoryview(np.ascontiguousarray(values)).cast('B'))
    return data


def _view(message: Image, dtype: np.dtype, channels: int) -> NDArray:
    """The message's pixels without padding, in the message's byte order."""
    data = message.data
    buffer = np.asarray(data, np.uint8) if isinstance(data, (list, tuple)) else data
    pixel = dtype.itemsize * channels
    height, width, step = message.height, message.width, message.step
    if step < width * pixel:
        raise CvBridgeError(
            f'step is {step} bytes, but {width} pixels of [{message.encoding}] take '
            f'{width * pixel}'
        )
    size = memoryview(buffer).nbytes
    needed = step * (height - 1) + width * pixel if height else 0
    if size < needed:
        raise CvBridgeError(
            f'{height} rows with a step of {step} bytes take {needed} bytes, but there are {size}'
        )
    shape = (height, width) if channels == 1 else (height, width, channels)
    strides = (step, pixel) if channels == 1 else (step, pixel, dtype.itemsize)
    return np.ascontiguousarray(np.ndarray(shape, dtype, buffer=buffer, strides=strides))


def _decoded_encoding(image: NDArray) -> str:
    """Encoding of what cv2.imdecode returns."""
    kind = 'mono' if image.ndim == 2 else {1: 'mono', 3: 'bgr', 4: 'bgra'}[image.shape[2]]
    bits = image.dtype.itemsize * 8
    if image.dtype.kind == 'u' and bits in (8, 16):
        return f'{kind}{bits}'
    raise CvBridgeError(f'cannot convert a decoded image of type {image.dtype}')


def _converted(image: NDArray, source: str, target: str) -> NDArray:
    try:
        return convert(image, source, target)
    except (ValueError, cv2.error) as error:
        raise CvBridgeError(str(error)) from None
