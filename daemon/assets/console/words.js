// What the page of a mammography says, in one place. Another language is another set of these words.

const ENGLISH = {
  mammography: "Mammography",
  views: (count) => `${count} ${count === 1 ? "image" : "images"}`,
  missing: (name) => `${name} missing`,
  missingWhy: "no such view in this study",
  noPrior: "None of this person is known here.",
  prior: (date) => `prior ${date}`,
  now: "this study",
  loading: "loading…",
  candidates: (count) => `last of ${count} images`,
  notSaid: "header does not say how it lies: placed by the picture",
  otherSide: "The breast lies at another side than the header says: mirrored or mislabelled",
  raw: "for processing",
  film: "film or plate",
  implant: "implant",
  partial: "part of a breast",
  noScale: "size of pixels not known: not to scale",
  score: (score) => score.toFixed(2),
  noMarks: "Nothing was marked in these views.",
  notLooked: "No network has looked at these pictures (mg_marks is off, or nothing was analysed).",
  learntTitle: "Not for diagnosis.",
  kinds: { mass: "mass", calcifications: "calcifications", asymmetry: "asymmetry", distortion: "distortion" },
  lesions: "Lesions over the years",
  noLesions: "No lesion of this person is in the book.",
  history: (id, where) => `Lesion ${id}: ${where}`,
  due: (date, overdue) => (overdue ? `recall overdue since ${date}` : `recall on ${date}`),
  marked: (label) => `${label} here`,
  exam: (date, modality, size) => `${date} ${modality}${size}`,
  undecided: (count) => `${count} ${count === 1 ? "sighting is" : "sightings are"} not assigned to a lesion yet`,
  simulated: "simulated",
  tools: {
    layout: "Layout", four: "All four", move: "Move", window: "Window", marks: "Marks", standard: "Standard", invert: "Invert",
    row: "In a row", beside: "Prior beside", flip: "Now / prior", wide: "Only pictures", larger: "Larger", smaller: "Smaller", fit: "Fit", others: "Other images",
  },
  keys: {
    view: "one view large, and back", all: "all four; then close the prior; then the list", row: "four in a row, or two by two", mark: "next, previous mark", accept: "accept the mark", reject: "reject the mark",
    marks: "marks on or off", brighter: "brighter, darker (all views)", contrast: "less, more contrast (all views)", standard: "the scanner's window", invert: "invert", beside: "prior beside",
    flip: "prior in the same places, and back", zoom: "larger, smaller", pan: "move the enlarged view", fit: "whole view", tool: "drag changes the window, or moves", wide: "only pictures", help: "this list",
  },
};

export const words = ENGLISH;
