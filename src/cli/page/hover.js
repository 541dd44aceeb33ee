// Shows the values under the pointer, read back from the curves that are drawn.
for (const figure of document.querySelectorAll("figure[data-x]")) {
  const svg = figure.querySelector("svg"), cursor = svg.querySelector(".cursor");
  const axis = (text) => {
    const [from, to, low, high, log] = text.split(" ").map(Number);
    const value = (place) => low + ((place - from) / (to - from)) * (high - low);
    return (place) => Number((log ? 10 ** value(place) : value(place)).toPrecision(4));
  };
  const [x, y] = [axis(figure.dataset.x), axis(figure.dataset.y)];
  const outputs = [...figure.querySelectorAll("output")];
  const resting = outputs.map((output) => output.textContent);
  const curves = [...svg.querySelectorAll(".named")].map((path) => ({
    dots: path.classList.contains("dots"),
    points: path.getAttribute("d").slice(1).replaceAll("h0", "").split(/[ML]/).map((point) => point.split(" ").map(Number)),
  }));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let under = px;
    curves.forEach(({ dots, points }, i) => {
      const away = (point) => Math.hypot(point[0] - px, dots ? point[1] - py : 0);
      const nearest = points.reduce((best, point) => (away(point) < away(best) ? point : best));
      outputs[i].textContent = `${y(nearest[1])} at ${x(nearest[0])}`;
      under = nearest[0];
    });
    cursor.setAttribute("x1", under);
    cursor.setAttribute("x2", under);
    cursor.style.visibility = "visible";
  });
  svg.addEventListener("pointerleave", () => {
    outputs.forEach((output, i) => (output.textContent = resting[i]));
    cursor.style.visibility = "hidden";
  });
}
