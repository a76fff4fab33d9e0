import type { IconNode } from 'lucide'
import { useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { Button, IconButton } from './button.tsx'
import { Dialog } from './dialog.tsx'
import { Problem, useSending } from './problem.tsx'

interface Question {
  title: string
  /** What will happen, in words, and whether that is meant. */
  text: string
  /** What the button that does it is called. */
  label: string
  kind?: 'plain' | 'danger'
  onConfirm(): unknown
}

/** Asks whether something is meant that is not easily taken back, does it, and says in place what went wrong. */
export function Confirm({ title, text, label, kind = 'danger', onConfirm, onClose }: Question & { onClose(): void }) {
  const { problem, isBusy, send } = useSending()

  async function confirm(): Promise<void> {
    if (await send(async () => onConfirm())) onClose()
  }

  return (
    <Dialog title={title} onClose={onClose}>
      <p dir="auto">{text}</p>
      <Problem text={problem} />
      <div class="actions">
        <Button onPress={onClose}>{t('common:cancel')}</Button>
        <Button kind={kind === 'danger' ? 'danger' : 'primary'} disabled={isBusy} onPress={confirm}>
          {label}
        </Button>
      </div>
    </Dialog>
  )
}

interface ConfirmButtonOptions extends Omit<Question, 'title' | 'text'> {
  question: string
  icon?: IconNode
  /** Shows the icon alone. */
  isIcon?: boolean
  disabled?: boolean
}

/** A button that asks before it does what it says. */
export function ConfirmButton({ icon, isIcon = false, disabled, question, ...rest }: ConfirmButtonOptions) {
  const { label, kind = 'danger' } = rest
  const [isAsking, setAsking] = useState(false)
  const ask = () => setAsking(true)
  return (
    <>
      {icon && isIcon ? (
        <IconButton icon={icon} label={label} disabled={disabled} onPress={ask} />
      ) : (
        <Button kind={kind} {...(icon && { icon })} disabled={disabled} onPress={ask}>
          {label}
        </Button>
      )}
      {isAsking && <Confirm {...rest} title={label} text={question} onClose={() => setAsking(false)} />}
    </>
  )
}
