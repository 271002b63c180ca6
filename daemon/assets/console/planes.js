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
