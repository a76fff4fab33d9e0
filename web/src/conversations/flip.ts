/** Room that a list of things to do takes, with some to spare. */
const menuHeight = 300

/** Marks a line whose menu has no room below it: that one is to open upwards. For `pointerdown` and `focusin` on the line. */
export function flipNearEnd(event: Event): void {
  const line = event.currentTarget
  if (!(line instanceof HTMLElement)) return
  const { top, bottom } = line.getBoundingClientRect()
  const isFlipped = bottom + menuHeight > innerHeight && top > menuHeight
  line.dataset.menu = isFlipped ? 'above' : 'below'
}
