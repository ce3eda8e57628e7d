let open: () => void = () => {}
let gate = new Promise<void>((resolve) => (open = resolve))

export const released = () => gate

export function release() {
  open()
  gate = new Promise<void>((resolve) => (open = resolve))
}
