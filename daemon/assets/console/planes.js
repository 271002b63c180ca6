// Cuts through a stack: its own slices, or planes across them.

// Each plane: how many there are, how large one is (columns, rows), and millimetres between its columns and rows.
export const PLANES = {
  slices: (stack, index) => {
    const { rows, columns } = stack.pictures[index] ?? stack.pictures[0];
    const [down, across] = stack.spacing ?? [1, 1];
    return { count: stack.length, size: [columns, rows], spacing: [across, down] };
  },
  coronal: (stack) => {
    const { rows, columns } = stack.pictures[0];
    return { count: rows, size: [columns, stack.length], spacing: [stack.spacing[1], stack.gap] };
  },
  sagittal: (stack) => {
    const { rows, columns } = stack.pictures[0];
    return { count: columns, size: [rows, stack.length], spacing: [stack.spacing[0], stack.gap] };
  },
};

// The values of one plane; rows of slices that are not there yet are air. Null when a slice itself is not there.
export function cut(stack, plane, index) {
  if (plane === "slices") return stack.pixelsOf(index) ?? null;
  const { size } = PLANES[plane](stack);
  const [width, height] = size;
  const { columns } = stack.pictures[0];
  const values = new Int16Array(width * height).fill(-1024);
  for (let slice = 0; slice < height; slice += 1) {
    const pixels = stack.pixelsOf(slice);
    if (!pixels) continue;
    if (plane === "coronal") values.set(pixels.subarray(index * columns, (index + 1) * columns), slice * width);
    else for (let row = 0; row < width; row += 1) values[slice * width + row] = pixels[row * columns + index];
  }
  return values;
}

// Letters of the directions that a vector (LPS) has, the greatest part first: at most two, as PS3.3 section C.7.6.1.1.1 writes them.
function letters(vector) {
  const names = [["L", "R"], ["P", "A"], ["H", "F"]];
  const parts = vector.map((value, axis) => [Math.abs(value), names[axis][value < 0 ? 1 : 0]]);
  return parts.filter(([size]) => size > 0.2).sort((a, b) => b[0] - a[0]).slice(0, 2).map(([, name]) => name).join("");
}

// What of the patient is at the left, right, upper and lower edge of a plane; "?" where the pictures of a body do not say it.
export function edges(stack, plane) {
  if (!stack.orientation) return stack.pixels === "hounsfield" ? ["?", "?", "?", "?"] : ["", "", "", ""];
  const [across, down] = [stack.orientation.slice(0, 3), stack.orientation.slice(3)];
  let [x, y] = [across, down];
  if (plane !== "slices") {
    const [first, last] = [stack.pictures[0].position_mm, stack.pictures.at(-1).position_mm];
    const way = last.map((value, axis) => value - first[axis]);
    const length = Math.hypot(...way) || 1;
    [x, y] = [plane === "coronal" ? across : down, way.map((value) => value / length)];
  }
  const back = (vector) => vector.map((value) => -value);
  return [letters(back(x)), letters(x), letters(back(y)), letters(y)];
}
