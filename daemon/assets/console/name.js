// A patient's name as people read it. DICOM writes it up to three times, with = between: in letters, in ideographs, as it is
// spoken (PS3.5, 6.2.1); each as FAMILY^GIVEN^MIDDLE^PREFIX^SUFFIX.
export function readable(name) {
  const [letters = "", ideographs = "", spoken = ""] = name.split("=").map((group) => group.trim());
  const [family, ...rest] = letters.split("^").filter(Boolean);
  const first = rest.length ? `${family}, ${rest.join(" ")}` : family ?? "";
  // Ideographs are read without a gap between family and given name.
  const second = (ideographs || spoken).split("^").filter(Boolean).join("");
  return first && second ? `${first} (${second})` : first || second;
}
