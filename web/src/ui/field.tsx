import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

interface FieldOptions {
  label: string
  value: string
  onValue(value: string): void
  type?: 'text' | 'email' | 'password' | 'search'
  name?: string
  autocomplete?: 'username' | 'email' | 'current-password' | 'new-password' | 'one-time-code' | 'nickname' | 'off'
  isRequired?: boolean
  maxLength?: number
  hint?: ComponentChildren
  problem?: string | undefined
}

/** A line to fill in, with what it is called above and, where given, a hint or what is wrong below. */
export function Field({
  label,
  value,
  onValue,
  hint,
  problem,
  isRequired = false,
  type = 'text',
  ...native
}: FieldOptions) {
  const id = useId()
  const below = problem ?? hint
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...native}
        // what may stand beside it is the same for all of these types
        type={type as 'text'}
        id={id}
        value={value}
        required={isRequired}
        dir="auto"
        aria-invalid={problem !== undefined}
        aria-describedby={below ? `${id}-below` : undefined}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      {below && (
        <p id={`${id}-below`} class={problem ? 'field-problem' : 'field-hint'} role={problem ? 'alert' : undefined}>
          {below}
        </p>
      )}
    </div>
  )
}

/** One of few: a list that opens. */
export function Choice<T extends string>(options: {
  label: string
  value: T
  of: readonly { id: T; name: string }[]
  onValue(value: T): void
}) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{options.label}</label>
      <select id={id} value={options.value} onChange={(event) => options.onValue(event.currentTarget.value as T)}>
        {options.of.map((one) => (
          <option key={one.id} value={one.id}>
            {one.name}
          </option>
        ))}
      </select>
    </div>
  )
}

/** On or off. */
export function Toggle(options: { label: string; isOn: boolean; onValue(isOn: boolean): void }) {
  return (
    <label class="toggle">
      <input
        type="checkbox"
        role="switch"
        aria-checked={options.isOn}
        checked={options.isOn}
        onChange={(event) => options.onValue(event.currentTarget.checked)}
      />
      {options.label}
    </label>
  )
}

/** Sends what is filled in without leaving the page. `onSend` says itself what is wrong. */
export function Form({ onSend, label, children }: { onSend(): unknown; label?: string; children: ComponentChildren }) {
  return (
    <form
      class="form"
      aria-label={label}
      onSubmit={(event) => {
        event.preventDefault()
        onSend()
      }}
    >
      {children}
    </form>
  )
}
