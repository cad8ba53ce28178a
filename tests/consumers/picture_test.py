# SPDX-License-Identifier: MIT
#
# The flame graph is a picture: an SVG renderer draws it, in its size, with frames in it.
import struct
import xml.etree.ElementTree
import zlib

from consumer import ConsumerTest, find_tool, main


def pixels(png):
    """(width, height, rows of RGBA) of a PNG as rsvg-convert writes it: 8 bits, not interlaced."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, interlaced) == (8, 0) and colour in (2, 6)
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    channels = 4 if colour == 6 else 3
    raw, step = zlib.decompress(data), width * channels
    rows, above = [], bytearray(step)
    for y in range(height):
        start = y * (step + 1)
        row = unfiltered(raw[start], bytearray(raw[start + 1:start + 1 + step]), above, channels)
        rows.append([bytes(row[x:x + 3]) for x in range(0, step, channels)])
        above = row
    return width, height, rows


def unfiltered(kind, row, above, channels):
    """One row of a PNG, by the row above."""
    for i in range(len(row)):
        left = row[i - channels] if i >= channels else 0
        corner = above[i - channels] if i >= channels else 0
        up = above[i]
        nearest = min((abs(up - corner), 0, left), (abs(left - corner), 1, up),
                      (abs(left + up - 2 * corner), 2, corner))[2]
        row[i] = (row[i] + (0, left, up, (left + up) // 2, nearest)[kind]) & 0xff
    return row


class PictureTest(ConsumerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rsvg = find_tool("rsvg-convert")
        cls.record("profiled", "-e", "instructions:p", "-c", 1009, "-g")
        cls.vpmu("flamegraph", "perf.data", "-o", "flames.svg")
        cls.run_command(cls.rsvg, "flames.svg", "-o", "flames.png")
        cls.svg = xml.etree.ElementTree.parse(cls.folder / "flames.svg").getroot()
        cls.width, cls.height, cls.rows = pixels((cls.folder / "flames.png").read_bytes())

    def test_it_has_the_size_that_the_file_says(self):
        self.assertEqual((str(self.width), str(self.height)),
                         tuple(self.svg.get(side).removesuffix("px") for side in ("width", "height")))

    def test_it_is_not_blank(self):
        background = self.rows[0][0]
        painted = sum(pixel != background for row in self.rows for pixel in row)
        self.assertGreater(painted / (self.width * self.height), 0.2)
        self.assertGreater(len({pixel for row in self.rows for pixel in row}), 20)

    def test_the_widest_leaf_is_seventy_percent_wide(self):
        # Some row of pixels runs through the frame of user::most(), which is of one colour.
        longest = 0
        for row in self.rows:
            run = 1
            for before, after in zip(row, row[1:]):
                run = run + 1 if before == after and after != self.rows[0][0] else 1
                longest = max(longest, run)
        self.assertGreater(longest / self.width, 0.6)

    def test_nothing_is_fetched_from_elsewhere(self):
        text = (self.folder / "flames.svg").read_text()
        names = [value for element in self.svg.iter() for key, value in element.attrib.items()
                 if key.endswith("href") or key == "src"]
        self.assertEqual([name for name in names if "//" in name], [])
        self.assertNotIn("@import", text)


if __name__ == "__main__":
    main()
