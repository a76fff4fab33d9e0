/** Cracks of a bowl that gold holds together: from one joint outwards, wide ones first. */
const seams = [
  { width: 5, path: 'M-10 118 C60 128 92 176 150 196 S262 214 318 262' },
  { width: 4, path: 'M318 262 C372 240 404 176 470 150 S588 96 640 20' },
  { width: 4, path: 'M318 262 C330 328 300 392 332 452 S392 560 384 660' },
  { width: 2.5, path: 'M150 196 C136 252 96 286 88 344 S52 428 -10 456' },
  { width: 2.5, path: 'M470 150 C520 196 540 252 610 268' },
  { width: 2, path: 'M332 452 C392 446 436 412 494 424 S586 470 620 462' },
  { width: 1.5, path: 'M88 344 C130 372 160 424 152 486' },
  { width: 1.5, path: 'M404 190 C398 140 360 104 366 40' },
]

/** The picture of the name, as decoration. */
export function Seam() {
  return (
    <svg class="enter-seam" viewBox="0 0 600 600" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      {seams.map(({ width, path }) => (
        <path key={path} d={path} stroke-width={width} pathLength={1} />
      ))}
      <circle cx="318" cy="262" r="7" />
    </svg>
  )
}
