'use strict';

// Tables: a click sorts by a column, best first; the second turns it round, the third restores the order.
for (const table of [...document.querySelectorAll('table')].filter(each => each.tHead)) {
  const heads = [...table.tHead.rows[0].cells];
  const original = [...table.tBodies].map(body => [...body.rows]);
  heads.forEach((head, column) => {
    const button = head.querySelector('button');
    button.addEventListener('click', () => {
      const first = button.dataset.better === 'higher' ? 'descending' : 'ascending';
      const second = first === 'ascending' ? 'descending' : 'ascending';
      const order = { none: first, [first]: second, [second]: 'none' }[head.getAttribute('aria-sort')];
      heads.forEach(other => other.setAttribute('aria-sort', other === head ? order : 'none'));
      original.forEach((rows, index) => {
        const moved = order === 'none' ? rows : sorted(rows, column, order === 'ascending' ? 1 : -1);
        table.tBodies[index].append(...moved);
      });
    });
  });
}

function sorted(rows, column, sign) {
  const fixed = rows.filter(row => row.classList.contains('fixed'));
  const free = rows.filter(row => !row.classList.contains('fixed'));
  const key = row => {
    const cell = row.cells[column];
    if (column === 0) return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);  // what is missing stands last, either way
    return sign * (typeof a === 'string' ? a.localeCompare(b) : a - b);
  };
  return [...fixed, ...free.sort((a, b) => compare(key(a), key(b)))];
}

// Clips: one moment at a time for both maps, moved by the slider and by whichever sound plays.
for (const card of document.querySelectorAll('.exhibit')) {
  const moments = JSON.parse(card.dataset.moments);
  const duration = Number(card.dataset.duration);
  const slider = card.querySelector('input[type=range]');
  const readout = card.querySelector('.readout');
  const players = [...card.querySelectorAll('audio')];
  const heads = [...card.querySelectorAll('.playhead')];
  let ticking = 0;
  let sliding = false;

  function show(moment, seconds) {
    for (const [role, sheet] of Object.entries(moments.sheets)) {
      const image = card.querySelector(`.sound.${role} .sheet`);
      [image.style.left, image.style.top] = sheet.places[moment].map(share => `${-share}%`);
      for (const mark of card.querySelectorAll(`.peak.${role}`)) place(mark, sheet.peaks[moment]);
    }
    const view = moments.views[moments.views.length > 1 ? moment : 0] || '';
    for (const path of card.querySelectorAll('.view, .view-edge')) path.setAttribute('d', view);
    for (const head of heads) head.style.left = `${100 * Math.min(seconds / duration, 1)}%`;
    slider.value = seconds;
    slider.setAttribute('aria-valuetext', `${seconds.toFixed(1)} seconds`);
    readout.textContent = words(moment, seconds);
  }

  function words(moment, seconds) {
    const parts = [`${seconds.toFixed(1)} s`];
    const peaks = Object.entries(moments.sheets).map(([role, sheet]) => [role, sheet.peaks[moment]]);
    for (const [role, peak] of peaks) {
      parts.push(peak ? `${role} from ${degrees(peak[0])} / ${degrees(peak[1])}` : `${role} from nowhere`);
    }
    if (peaks.length === 2 && peaks[0][1] && peaks[1][1]) {
      parts.push(`${Math.round(apart(peaks[0][1], peaks[1][1]))}° apart`);
    }
    return parts.join(' · ');
  }

  function follow() {
    const playing = players.find(player => !player.paused);
    if (!playing) { ticking = 0; return; }
    show(momentAt(playing.currentTime), playing.currentTime);
    ticking = requestAnimationFrame(follow);
  }

  const momentAt = seconds => Math.max(0, Math.min(moments.count - 1, Math.floor(seconds / moments.step)));

  for (const player of players) {
    for (const touch of ['pointerdown', 'keydown']) player.addEventListener(touch, () => { sliding = false; });
    player.addEventListener('play', () => {
      for (const other of document.querySelectorAll('audio')) {
        if (other === player || other.paused) continue;
        other.pause();
        if (players.includes(other)) player.currentTime = other.currentTime;  // compare at the same moment
      }
      if (!ticking) ticking = requestAnimationFrame(follow);
    });
    player.addEventListener('seeked', () => {
      // Not when the slider moved it: what it asked for earlier can arrive after what it shows now.
      if (player.paused && !sliding) show(momentAt(player.currentTime), player.currentTime);
    });
  }
  slider.addEventListener('input', () => {
    const seconds = Number(slider.value);
    sliding = true;
    for (const player of players) player.currentTime = seconds;
    show(momentAt(seconds), seconds);
  });
  show(moments.start, Math.min(moments.start * moments.step, duration));
}

function place(mark, peak) {
  mark.setAttribute('visibility', peak ? 'visible' : 'hidden');
  if (peak) mark.setAttribute('transform', `translate(${180 - peak[0]} ${90 - peak[1]})`);
}

function degrees(value) {
  const rounded = Math.round(value);
  return `${rounded < 0 ? '\u2212' : ''}${Math.abs(rounded)}°`;
}

function apart([a, e], [b, f]) {
  const r = Math.PI / 180;
  const cosine = Math.sin(e * r) * Math.sin(f * r) + Math.cos(e * r) * Math.cos(f * r) * Math.cos((a - b) * r);
  return Math.acos(Math.max(-1, Math.min(1, cosine))) / r;
}

addEventListener('beforeprint', () => {
  for (const details of document.querySelectorAll('details')) details.open = true;
});
