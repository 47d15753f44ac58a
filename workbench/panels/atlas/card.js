// Under the mouse, or a finger: the patch of a point with what is around it, and the whole picture.
// Everything is here already: a point says which picture it is of and where, the sheet holds the pictures.
const SIDE = 132;
const AROUND = 3;

const paint = (canvas, sheet, from, box) => {
  const times = SIDE / Math.max(from[2], from[3]);
  const dots = window.devicePixelRatio || 1;
  const [wide, tall] = [from[2] * times, from[3] * times];
  canvas.width = Math.round(wide * dots);
  canvas.height = Math.round(tall * dots);
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${tall}px`;
  const pen = canvas.getContext("2d");
  pen.scale(dots, dots);
  pen.imageSmoothingEnabled = times < 1;
  pen.drawImage(sheet, ...from, 0, 0, wide, tall);
  // On whole pixels, so that the outline is as white on a grey picture as on a dark one.
  const at = [(box[0] - from[0]) * times, (box[1] - from[1]) * times, box[2] * times, box[3] * times].map(Math.round);
  for (const [colour, width] of [["black", 4], ["white", 2]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(...at);
  }
};

const show = (point) => {
  const [source, picture, x0, y0, x1, y1, words] = point.customdata;
  const sheet = element.querySelectorAll("img.sheet")[source];
  if (!sheet?.complete) return;
  const [left, top, width, height, imageWidth, imageHeight] = JSON.parse(sheet.dataset.places)[picture];
  const [across, down] = [width / imageWidth, height / imageHeight];
  const box = [left + x0 * across, top + y0 * down, (x1 - x0) * across, (y1 - y0) * down];
  const side = Math.min(AROUND * Math.max(box[2], box[3]), width, height);
  const near = [
    Math.min(Math.max(box[0] + (box[2] - side) / 2, left), left + width - side),
    Math.min(Math.max(box[1] + (box[3] - side) / 2, top), top + height - side),
    side,
    side,
  ];
  const [patch, whole] = element.querySelectorAll("canvas");
  paint(patch, sheet, near, box);
  paint(whole, sheet, [left, top, width, height], box);
  const [place, from] = words.split("; ");
  const lines = element.querySelectorAll(".atlas-words span");
  lines[0].textContent = place;
  lines[1].textContent = from;
  element.querySelector(".atlas-card").dataset.shown = "true";
};

// The plot comes and goes with results, and drawing it anew takes its listeners away.
const attach = () => {
  const plot = document.querySelector("#atlas-plot .js-plotly-plot");
  if (!plot?.on || plot.atlasEvents === plot._ev) return;
  plot.atlasEvents = plot._ev;
  for (const event of ["plotly_hover", "plotly_click"]) plot.on(event, (seen) => show(seen.points[0]));
};
new MutationObserver(attach).observe(document.body, { childList: true, subtree: true });
attach();
