"use client";

import { useEffect } from "react";

export default function Failed({ error, reset }: { error: Error; reset: () => void }) {
  useEffect(() => {
    console.error(error);
  }, [error]);
  return <button onClick={reset}>Something went wrong. Try again</button>;
}
