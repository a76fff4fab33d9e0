/**
 * That many calendar months after a moment (UTC), at the same time of day: on the same day of the month, or on the last
 * one of a month that is too short for it. Counted from the first month's beginning each time, so that the 31st comes
 * back after February.
 */
export function addMonths(moment: Date, months: number): Date {
  const result = new Date(moment)
  // from the first, since the 31st of a short month would run over into the next
  result.setUTCDate(1)
  result.setUTCMonth(result.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(result.getUTCFullYear(), result.getUTCMonth() + 1, 0)).getUTCDate()
  result.setUTCDate(Math.min(moment.getUTCDate(), lastDay))
  return result
}

/** When the month ends that begins at `start`, in months counted from `anchor`. */
export function endOfMonth(anchor: Date, start: Date): Date {
  const about = (start.getUTCFullYear() - anchor.getUTCFullYear()) * 12 + start.getUTCMonth() - anchor.getUTCMonth()
  let months = Math.max(1, about)
  while (addMonths(anchor, months) <= start) months++
  return addMonths(anchor, months)
}
