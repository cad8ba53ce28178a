# SPDX-License-Identifier: MIT
#
# The pprof profile is what pprof's published schema says, by protobuf's own reader: ids that fit
# together, the samples of the folded stacks, their functions.
import gzip
import pathlib
import subprocess

from consumer import ConsumerTest, find_tool, main

SCHEMA = "/usr/share/gocode/src/github.com/google/pprof/proto/profile.proto"


def parse(lines):
    """protoc's text of one message as {field: [values]}; a value is a text, or such a message."""
    message = {}
    for line in lines:
        line = line.strip()
        if line == "}":
            break
        if line.endswith("{"):
            message.setdefault(line[:-2], []).append(parse(lines))
        else:
            field, value = line.split(": ", 1)
            message.setdefault(field, []).append(value)
    return message


class PprofTest(ConsumerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        schema = pathlib.Path(find_tool(SCHEMA))
        protoc = find_tool("protoc")
        cls.record("profiled", "-e", "instructions:p", "-c", 1009, "-g", "--append", "depth=3")
        cls.vpmu("export", "perf.data", "--format", "pprof", "-o", "profile.pb.gz")
        cls.vpmu("export", "perf.data", "--format", "folded", "-o", "folded.txt")
        decoded = subprocess.run(
            [protoc, "--decode=perftools.profiles.Profile", f"-I{schema.parent}", schema.name],
            input=gzip.decompress((cls.folder / "profile.pb.gz").read_bytes()),
            stdout=subprocess.PIPE, check=True)
        cls.profile = parse(iter(decoded.stdout.decode().splitlines()))
        cls.strings = [value[1:-1] for value in cls.profile["string_table"]]

    def string(self, message, field):
        return self.strings[int(message[field][0])]

    def ids(self, field):
        return [message["id"][0] for message in self.profile[field]]

    def test_no_field_is_unknown_to_the_schema(self):
        # protoc prints numbers in place of the names that it does not know.
        self.assertEqual([field for field in self.profile if field.isdigit()], [])

    def test_the_first_string_is_empty(self):
        self.assertEqual(self.strings[0], "")

    def test_ids_are_unique_and_refer_to_what_is_there(self):
        for field in ("mapping", "location", "function"):
            ids = self.ids(field)
            self.assertEqual(len(ids), len(set(ids)), field)
            self.assertNotIn("0", ids)
        locations, functions, mappings = map(set, map(self.ids, ("location", "function", "mapping")))
        for sample in self.profile["sample"]:
            self.assertLessEqual(set(sample["location_id"]), locations)
            self.assertEqual(len(sample["value"]), len(self.profile["sample_type"]))
        for location in self.profile["location"]:
            self.assertIn(location.get("mapping_id", ["none"])[0], mappings | {"none"})
            for line in location.get("line", []):
                self.assertIn(line["function_id"][0], functions)

    def test_samples_are_those_of_the_folded_stacks(self):
        folded = (self.folder / "folded.txt").read_text().splitlines()
        weights = sum(int(line.rsplit(" ", 1)[1]) for line in folded)
        sums = [sum(int(sample["value"][i]) for sample in self.profile["sample"])
                for i in range(len(self.profile["sample_type"]))]
        self.assertIn(weights, sums)

    def test_functions_have_names(self):
        names = {self.string(function, "name") for function in self.profile["function"]}
        for name in ("work::tenth", "work::fifth", "user::most", "guest_main"):
            self.assertTrue(any(n.split("(")[0] == name for n in names), f"{name} in {names}")


if __name__ == "__main__":
    main()
