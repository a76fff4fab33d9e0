import { existsSync, readFileSync, writeFileSync } from 'node:fs'

/** Linux counts processor time in ticks of 1/100 s for every program, whatever the kernel's own rate (`man 5 proc`). */
const ticksPerSecond = 100

/** Figures of processor time and memory are for Linux. */
export const hasProc = existsSync('/proc/self/stat')

/** Seconds of processor time, user and system, that a process has used; NaN where there is no /proc. */
export function cpuSeconds(pid: number): number {
  if (!hasProc) return Number.NaN
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // the second field is the program's name in parentheses and may hold spaces: count from the last parenthesis
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Bytes of memory that a process has resident. */
export const residentBytes = (pid: number): number => statusBytes(pid, 'VmRSS')

/** The most of it at any moment since the start, or since {@link forgetPeak}. */
export const peakBytes = (pid: number): number => statusBytes(pid, 'VmHWM')

/** The peak is from now on counted from what is resident now (`man 5 proc_pid_clear_refs`). */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')

function statusBytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
}

/** How many files and sockets this process may have open. */
export function openFilesLimit(): number {
  const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit)
}

/** The value below which the share `part` (0 to 1) of the values lies; NaN of none. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

/** The middle of the values, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[sorted.length >> 1] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? Number.NaN)) / 2
}
