"use strict";
document.querySelectorAll("[data-tabs]").forEach((group) => {
  const buttons = [...group.querySelectorAll("button")];
  buttons.forEach((button) => button.addEventListener("click", () => {
    buttons.forEach((other) => {
      const chosen = other === button;
      other.setAttribute("aria-selected", String(chosen));
      document.getElementById(other.dataset.panel).hidden = !chosen;
    });
  }));
});
const filter = document.getElementById("filter");
if (filter) {
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    document.querySelectorAll(".parameters details").forEach((group) => {
      let found = 0;
      group.querySelectorAll("tbody tr").forEach((row) => {
        const text = row.textContent.toLowerCase();
        const hit = words.every((word) => text.includes(word));
        row.hidden = !hit;
        found += hit ? 1 : 0;
      });
      group.hidden = found === 0;
      if (words.length) group.open = found > 0;
    });
  });
}
const slide = document.getElementById("slide");
if (slide) {
  const large = JSON.parse(document.getElementById("large").textContent);
  document.querySelectorAll("[data-slide]").forEach((button) => button.addEventListener("click", () => {
    slide.querySelector("img").src = "data:image/jpeg;base64," + large[Number(button.dataset.large)];
    slide.querySelector("img").alt = slide.querySelector("p").textContent = button.dataset.slide;
    slide.showModal();
  }));
  slide.addEventListener("click", () => slide.close());
}
