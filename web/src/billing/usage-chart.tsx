import { formatNumber, locale, t } from '../i18n.ts'
import { compact } from './compact.ts'
import { Scroll } from './scroll.tsx'
import { type Day, tokensOf, topOf } from './usage.ts'

/** In units of the drawing. */
const height = 150
const slot = 20
const bar = 14
const axis = 44
const foot = 20

/** Days are without a time zone of their own: they are those of the report. */
const formatDate = (day: string): string =>
  new Intl.DateTimeFormat(locale.value, { month: 'short', day: 'numeric', timeZone: 'UTC' }).format(new Date(day))

/** Tokens by day, input below output; as a table for screen readers. */
export function UsageChart({ days }: { days: readonly Day[] }) {
  const top = topOf(Math.max(0, ...days.map(tokensOf)))
  const scaled = (tokens: number): number => (tokens / top) * height
  const width = axis + days.length * slot
  return (
    <figure class="billing-chart">
      <Scroll label={t('billing:byDay')} isAtEnd>
        <svg viewBox={`0 0 ${width} ${height + foot + 8}`} aria-hidden="true">
          {[0, 0.5, 1].map((part) => (
            <g key={part} transform={`translate(0 ${8 + height * (1 - part)})`}>
              <line x1={axis} x2={width} />
              <text x={axis - 6} y={4} text-anchor="end">
                {compact(top * part)}
              </text>
            </g>
          ))}
          {days.map((day, at) => {
            const x = axis + at * slot + (slot - bar) / 2
            const input = scaled(day.inputTokens)
            const output = scaled(day.outputTokens)
            return (
              <g key={day.day}>
                <title>{`${formatDate(day.day)}: ${formatNumber(tokensOf(day))}`}</title>
                <rect class="billing-slot" x={axis + at * slot} y={8} width={slot} height={height} />
                <rect class="billing-input" x={x} y={8 + height - input} width={bar} height={input} />
                <rect class="billing-output" x={x} y={8 + height - input - output} width={bar} height={output} />
                {at % 7 === days.length % 7 && (
                  <text x={x + bar / 2} y={height + foot + 4} text-anchor="middle">
                    {formatDate(day.day)}
                  </text>
                )}
              </g>
            )
          })}
        </svg>
      </Scroll>
      <figcaption class="billing-legend">
        <span class="billing-key-input">{t('billing:input')}</span>
        <span class="billing-key-output">{t('billing:output')}</span>
      </figcaption>
      <div class="unseen">
        <table>
          <caption>{t('billing:byDay')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('billing:day')}</th>
              <th scope="col">{t('billing:input')}</th>
              <th scope="col">{t('billing:output')}</th>
              <th scope="col">{t('billing:runs')}</th>
              <th scope="col">{t('billing:credits')}</th>
            </tr>
          </thead>
          <tbody>
            {days.map((day) => (
              <tr key={day.day}>
                <th scope="row">{formatDate(day.day)}</th>
                <td>{formatNumber(day.inputTokens)}</td>
                <td>{formatNumber(day.outputTokens)}</td>
                <td>{formatNumber(day.runs)}</td>
                <td>{formatNumber(day.credits)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  )
}
