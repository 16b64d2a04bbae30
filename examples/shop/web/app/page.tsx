"use client";

import { useEffect, useState } from "react";

const API_URL = process.env.NEXT_PUBLIC_API_URL ?? "https://api.shop.example.com";

export default function Page() {
  const [order, setOrder] = useState<number>();
  useEffect(() => {
    fetch(`${API_URL}/orders/1`)
      .then((response) => response.json())
      .then((body) => setOrder(body.order));
  }, []);
  return <p>Order {order}</p>;
}
