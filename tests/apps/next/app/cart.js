"use client";

import { useEffect } from "react";

export default function Cart({ now }) {
  useEffect(() => {
    fetch("/api/items");
  }, []);
  return (
    <form>
      <input name="email" />
      <input type="password" />
      {now}
    </form>
  );
}
