"""Small pictures: of the pixels alone."""

import io

from PIL import ExifTags, Image

from streaming.thumbnails import SIDE, thumbnail


def test_a_small_picture_has_nothing_that_the_camera_wrote() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Anna Meier"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = "48.137N 11.575E"
    told = io.BytesIO()
    Image.new("RGB", (400, 200), "olive").save(told, "JPEG", exif=exif, comment=b"at the home of Anna Meier")
    assert b"Anna" in told.getvalue()
    small = thumbnail(told.getvalue(), 10**6)
    assert not [word for word in (b"Anna", b"48.137N", b"EXIF", b"XMP") if word in small]
    assert max(Image.open(io.BytesIO(small)).size) == SIDE
